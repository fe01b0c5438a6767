const info = await (await fetch("info")).json();
document.getElementById("info").textContent = JSON.stringify(info.models, null, 2);
