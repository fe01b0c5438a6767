//! One file: what it is to be, and its bytes, from where an earlier download broke off.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
    thread,
};

use ureq::{Body, http::Response};

use crate::{
    Hub, Progress,
    checksum::{Checksum, EntityTag},
    client::{Call, TRIES, header_of, quoted},
    error::{HubError, Result, brief},
    name::ModelName,
};

/// Bytes that make a broken download one that gets on, and gives it all its tries again.
const GETS_ON_BYTES: u64 = 1 << 20;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 1 << 16;

/// A file of a commit.
#[derive(Debug)]
pub(crate) struct RemoteFile {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) size: u64,
    pub(crate) tag: EntityTag,
}

/// How a try to get a file ended.
enum Outcome {
    Whole,
    /// It broke off after so many bytes.
    Broken {
        got: u64,
        problem: String,
    },
}

impl Hub {
    /// What a file of a commit is to be: its size and its checksum.
    pub(crate) fn remote_file(
        &self,
        model: &ModelName,
        commit: &str,
        name: &str,
    ) -> Result<RemoteFile> {
        let (endpoint, id) = (self.client.endpoint(), model.id());
        let path = name.split('/').map(quoted).collect::<Vec<_>>().join("/");
        let url = format!("{endpoint}/{id}/resolve/{commit}/{path}");
        let answer = self.client.send(&Call::head(&url))?;
        // A redirect to where large files lie is an answer too: it says what they are.
        let is_file = answer.status().is_success();
        if !is_file && !answer.status().is_redirection() {
            return Err(self.client.refusal(&answer, model));
        }
        let of = |linked: &str, own: &str| {
            header_of(&answer, linked).or_else(|| header_of(&answer, own).filter(|_| is_file))
        };
        let size = of("x-linked-size", "content-length").and_then(|size| size.parse().ok());
        let tag = of("x-linked-etag", "etag").and_then(EntityTag::of);
        let (Some(size), Some(tag)) = (size, tag) else {
            return Err(HubError::Damaged(format!(
                "the server does not say how large `{}` is and what its checksum is, as a Hub does; check `HF_ENDPOINT`",
                brief(name)
            )));
        };
        Ok(RemoteFile { name: name.to_owned(), url, size, tag })
    }

    /// Brings a file's content to `blob`, complete and checked. What an earlier try has left is gone on with.
    pub(crate) fn fetch(
        &self,
        model: &ModelName,
        file: &RemoteFile,
        blob: &Path,
        progress: Progress<'_>,
    ) -> Result<()> {
        let part = blob.with_file_name(format!("{}.incomplete", file.tag.as_str()));
        let (mut pause, mut tries) = (self.client.pause(), 0);
        loop {
            match self.attempt(model, file, &part, progress)? {
                Outcome::Whole => break,
                Outcome::Broken { got, problem } => {
                    if got >= GETS_ON_BYTES {
                        (pause, tries) = (self.client.pause(), 0);
                    }
                    tries += 1;
                    if tries == TRIES {
                        return Err(HubError::Unreachable(format!(
                            "`{}` breaks off again and again ({problem}); try again later: what has come is kept",
                            file.name
                        )));
                    }
                    thread::sleep(pause);
                    pause *= 2;
                }
            }
        }
        check(file, &part)?;
        fs::rename(&part, blob).map_err(HubError::disk("write", blob))
    }

    /// One try, from where the one before broke off.
    fn attempt(
        &self,
        model: &ModelName,
        file: &RemoteFile,
        part: &Path,
        progress: Progress<'_>,
    ) -> Result<Outcome> {
        let disk = |action| HubError::disk(action, part);
        let mut output = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(part)
            .map_err(disk("write"))?;
        let mut have = output.metadata().map_err(disk("read"))?.len();
        if have > file.size {
            have = 0;
        }
        if have < file.size || have == 0 {
            let range = format!("bytes={have}-");
            let call = Call::get(&file.url);
            let call = if have > 0 { call.header("range", &range) } else { call };
            let mut answer = self.client.send(&call)?;
            if have > 0 && !goes_on(&answer, have) {
                have = 0;
                if answer.status().as_u16() == 416 || answer.status().as_u16() == 206 {
                    answer = self.client.send(&Call::get(&file.url))?;
                }
            }
            let answer = self.client.accept(answer, model)?;
            output.set_len(have).map_err(disk("write"))?;
            output.seek(SeekFrom::Start(have)).map_err(disk("write"))?;
            progress(have, file.size);
            let mut input = answer.into_body().into_reader();
            let mut chunk = vec![0; CHUNK_BYTES];
            let begin = have;
            let broken = loop {
                match input.read(&mut chunk) {
                    Ok(0) => break "the connection ends too early".to_owned(),
                    Ok(read) => {
                        have += read as u64;
                        if have > file.size {
                            drop(output);
                            return Err(discarded(
                                file,
                                part,
                                "it is longer than it was announced",
                            ));
                        }
                        output.write_all(&chunk[..read]).map_err(disk("write"))?;
                        progress(have, file.size);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => break error.to_string(),
                }
            };
            if have < file.size {
                return Ok(Outcome::Broken { got: have - begin, problem: broken });
            }
        }
        output.sync_all().map_err(disk("write"))?;
        Ok(Outcome::Whole)
    }
}

/// Whether an answer goes on from a byte.
fn goes_on(answer: &Response<Body>, from: u64) -> bool {
    answer.status().as_u16() == 206
        && header_of(answer, "content-range")
            .is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// Refuses a file whose bytes are others than those announced, and removes it.
fn check(file: &RemoteFile, part: &Path) -> Result<()> {
    let difference = file.tag.difference(part).map_err(HubError::disk("read", part))?;
    if let Some(found) = difference {
        let wanted = file.tag.as_str();
        let problem = format!("its checksum is `{found}` where the Hub names `{wanted}`");
        return Err(discarded(file, part, &problem));
    }
    if file.tag.checksum() == Checksum::None {
        tracing::warn!(
            "`{}` is checked by its size alone: the server names no checksum of a Hub",
            file.name
        );
    }
    Ok(())
}

/// The error of a file that was removed, since it is not what was announced.
fn discarded(file: &RemoteFile, part: &Path, problem: &str) -> HubError {
    if let Err(error) = fs::remove_file(part) {
        return HubError::disk("remove the damaged", part)(error);
    }
    HubError::Damaged(format!(
        "`{}` came damaged and was removed: {problem}; try again, and check what stands between here and the Hub",
        file.name
    ))
}
