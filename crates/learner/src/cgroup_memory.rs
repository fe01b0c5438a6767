//! How much memory the control groups of this process allow it, as containers and batch systems set it.
//!
//! A group's limit holds for everything below it, so the groups from this process's own up to the root are asked, in
//! version 2 (`memory.max`) and version 1 (`memory.limit_in_bytes`). What a group has in the page cache can be had back.

use std::fs;
use std::path::{Path, PathBuf};

/// The memory that control groups leave to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CgroupMemory {
    /// The smallest limit of all groups.
    pub(crate) limit_bytes: u64,
    /// What can still be had within every limit.
    pub(crate) available_bytes: u64,
}

impl CgroupMemory {
    /// As it is now; `None` where nothing is limited.
    pub(crate) fn now() -> Option<Self> {
        Self::of_system(Path::new("/"))
    }

    /// The same of a system whose files lie under `root`.
    fn of_system(root: &Path) -> Option<Self> {
        let read = |name: &str| fs::read_to_string(root.join("proc/self").join(name)).ok();
        let (groups, mounts) = (read("cgroup")?, read("mountinfo")?);
        let mut found: Option<Self> = None;
        for hierarchy in hierarchies(&groups) {
            let Some(mount) = Mount::of(&mounts, hierarchy.version) else { continue };
            for folder in mount.folders(hierarchy.path) {
                let Ok(inside) = folder.strip_prefix("/") else { continue };
                let Some(limits) = hierarchy.version.limits(&root.join(inside)) else { continue };
                found = Some(found.map_or(limits, |others| others.and(limits)));
            }
        }
        found
    }

    fn and(self, other: Self) -> Self {
        Self {
            limit_bytes: self.limit_bytes.min(other.limit_bytes),
            available_bytes: self.available_bytes.min(other.available_bytes),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The limits of the group in `folder`; `None` if it has none.
    fn limits(self, folder: &Path) -> Option<CgroupMemory> {
        let (limit, usage, cache) = match self {
            Self::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
            Self::Two => ("memory.max", "memory.current", "inactive_file"),
        };
        let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok(); // `max` is no number
        let limit_bytes = number(limit).filter(|limit| *limit < UNLIMITED)?;
        let cached = read("memory.stat").and_then(|stat| {
            let line = stat.lines().find_map(|line| line.strip_prefix(cache))?;
            line.trim().parse::<u64>().ok()
        });
        let used = number(usage).unwrap_or(0).saturating_sub(cached.unwrap_or(0));
        Some(CgroupMemory { limit_bytes, available_bytes: limit_bytes.saturating_sub(used) })
    }
}

/// Version 1 says "no limit" by the largest number of pages.
const UNLIMITED: u64 = 1 << 62;

/// The group of this process in one hierarchy of groups.
struct Hierarchy<'a> {
    version: Version,
    path: &'a str,
}

/// Those that may limit memory, from lines `ID:CONTROLLERS:PATH`.
fn hierarchies(groups: &str) -> impl Iterator<Item = Hierarchy<'_>> {
    groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let version = match controllers {
            "" => Version::Two,
            named if named.split(',').any(|name| name == "memory") => Version::One,
            _ => return None,
        };
        Some(Hierarchy { version, path })
    })
}

/// Where a hierarchy is mounted, and which of its groups that place shows.
struct Mount<'a> {
    shown: &'a str,
    place: &'a str,
}

impl<'a> Mount<'a> {
    /// From lines `ID PARENT DEVICE ROOT PLACE OPTIONS… - TYPE SOURCE OPTIONS`.
    fn of(mounts: &'a str, version: Version) -> Option<Self> {
        mounts.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut after = after.split(' ');
            let (kind, options) = (after.next()?, after.nth(1)?);
            let is_it = match version {
                Version::Two => kind == "cgroup2",
                Version::One => kind == "cgroup" && options.split(',').any(|name| name == "memory"),
            };
            let mut before = before.split(' ').skip(3);
            let (shown, place) = (before.next()?, before.next()?);
            is_it.then_some(Self { shown, place })
        })
    }

    /// The folders of the group `path` and of those above it, as far as they are shown.
    fn folders(&self, path: &str) -> Vec<PathBuf> {
        let path = Path::new(path);
        // In a container the place shows the container's own group, whatever it is called outside.
        let within = path.strip_prefix(self.shown).or_else(|_| path.strip_prefix("/"));
        let within = within.unwrap_or(Path::new(""));
        within.ancestors().map(|group| Path::new(self.place).join(group)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A system in a folder, of these files and contents.
    fn system(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn found(files: &[(&str, &str)]) -> Option<(u64, u64)> {
        let found = CgroupMemory::of_system(system(files).path())?;
        Some((found.limit_bytes, found.available_bytes))
    }

    const MOUNT_2: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn version_2_is_limited_by_the_tightest_group_up_to_the_root() {
        let base = [
            ("proc/self/cgroup", "0::/user.slice/job\n"),
            ("proc/self/mountinfo", MOUNT_2),
            ("sys/fs/cgroup/user.slice/memory.max", "1000\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "900\n"),
            ("sys/fs/cgroup/user.slice/memory.stat", "anon 700\ninactive_file 150\n"),
        ];
        // Its own group has no limit.
        let unlimited = [("sys/fs/cgroup/user.slice/job/memory.max", "max\n")];
        assert_eq!(found(&[&base[..], &unlimited].concat()), Some((1000, 250)));
        let own = [
            ("sys/fs/cgroup/user.slice/job/memory.max", "400\n"),
            ("sys/fs/cgroup/user.slice/job/memory.current", "100\n"),
        ];
        assert_eq!(found(&[&base[..], &own].concat()), Some((400, 250)));
    }

    #[test]
    fn a_container_finds_its_limit_at_the_place_that_is_mounted() {
        // The path is the host's, of which the container sees nothing but its own group.
        for path in ["/", "/docker/abc"] {
            let groups = format!("0::{path}\n");
            let files = [
                ("proc/self/cgroup", groups.as_str()),
                ("proc/self/mountinfo", MOUNT_2),
                ("sys/fs/cgroup/memory.max", "5000\n"),
                ("sys/fs/cgroup/memory.current", "1000\n"),
            ];
            assert_eq!(found(&files), Some((5000, 4000)), "{path}");
        }
        let files = [
            ("proc/self/cgroup", "0::/docker/abc/inner\n"),
            (
                "proc/self/mountinfo",
                "30 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/inner/memory.max", "70\n"),
        ];
        assert_eq!(found(&files), Some((70, 70)));
    }

    #[test]
    fn version_1_has_a_hierarchy_of_its_own() {
        let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let limit = "sys/fs/cgroup/memory/job/memory.limit_in_bytes";
        let files = [
            ("proc/self/cgroup", "5:cpu:/other\n4:cpuset,memory:/job\n0::/\n"),
            ("proc/self/mountinfo", mounts),
            (limit, "8000\n"),
            ("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "3000\n"),
            ("sys/fs/cgroup/memory/job/memory.stat", "cache 9\ntotal_inactive_file 1000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(found(&files), Some((8000, 6000)));
        let mut unlimited = files;
        unlimited[2].1 = "9223372036854771712\n";
        assert_eq!(found(&unlimited), None);
    }

    #[test]
    fn a_system_without_groups_limits_nothing() {
        assert_eq!(found(&[]), None);
        assert_eq!(
            found(&[("proc/self/cgroup", "garbage\n0\n"), ("proc/self/mountinfo", "x\n")]),
            None
        );
    }
}
