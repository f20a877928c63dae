//! How much memory this process may use.
//!
//! # Source
//!
//! [cgroup v2, memory.max](https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files); `limit_in_bytes` of v1;
//! [proc_meminfo(5)](https://man7.org/linux/man-pages/man5/proc_meminfo.5.html).

use std::path::{Path, PathBuf};

/// The limit of the process's cgroup, or the machine's memory where that is less or there is none. `None` where neither can be
/// read: not on Linux.
pub(crate) fn available_memory() -> Option<u64> {
    memory_below(Path::new("/"))
}

fn memory_below(root: &Path) -> Option<u64> {
    [cgroup_limit(root), host_memory(root)].into_iter().flatten().min()
}

/// The least limit on the way from the process's group to the root: a parent's limit binds too.
fn cgroup_limit(root: &Path) -> Option<u64> {
    let groups = read(root, "proc/self/cgroup")?;
    let limits = groups.lines().filter_map(|line| {
        // `0::/path` is v2; `4:memory:/path` is v1.
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (mount, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            list if list.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let group = PathBuf::from(path.trim_start_matches('/'));
        // In a container the path may be the host's, and only the mount's root be there: the walk ends at it.
        group
            .ancestors()
            .filter_map(|group| limit_in(&root.join(mount).join(group).join(file)))
            .min()
    });
    limits.min()
}

fn limit_in(file: &Path) -> Option<u64> {
    // `max` does not parse: no limit. v1 says "none" with a number near the largest one.
    std::fs::read_to_string(file)
        .ok()?
        .trim()
        .parse()
        .ok()
        .filter(|limit| *limit < 1 << 60)
}

fn host_memory(root: &Path) -> Option<u64> {
    let info = read(root, "proc/meminfo")?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn read(root: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(root.join(file)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with these files, gone when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("spanwright-memory-{}-{name}", std::process::id()));
            for (file, content) in files {
                let path = root.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const HOST: (&str, &str) = ("proc/meminfo", "MemTotal:       16384000 kB\nMemFree:        1 kB\n");

    #[test]
    fn the_least_limit_on_the_way_up_binds() {
        let tree = Tree::new(
            "v2",
            &[
                HOST,
                ("proc/self/cgroup", "0::/pod/app\n"),
                ("sys/fs/cgroup/pod/app/memory.max", "max\n"),
                ("sys/fs/cgroup/pod/memory.max", "536870912\n"),
            ],
        );
        assert_eq!(memory_below(&tree.0), Some(536_870_912));
    }

    #[test]
    fn in_a_container_the_mounts_root_has_the_limit() {
        let files = [
            HOST,
            ("proc/self/cgroup", "0::/../../system.slice/docker-1\n"),
            ("sys/fs/cgroup/memory.max", "1073741824\n"),
        ];
        assert_eq!(memory_below(&Tree::new("container", &files).0), Some(1 << 30));
    }

    #[test]
    fn version_one_is_read_and_its_none_is_none() {
        let cgroup = ("proc/self/cgroup", "5:cpu:/x\n4:memory:/app\n");
        let limited = [
            HOST,
            cgroup,
            ("sys/fs/cgroup/memory/app/memory.limit_in_bytes", "268435456\n"),
        ];
        assert_eq!(memory_below(&Tree::new("v1", &limited).0), Some(268_435_456));
        let unlimited = [
            HOST,
            cgroup,
            (
                "sys/fs/cgroup/memory/app/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(
            memory_below(&Tree::new("v1-none", &unlimited).0),
            Some(16_384_000 * 1024)
        );
    }

    #[test]
    fn unknown_where_nothing_can_be_read() {
        assert_eq!(memory_below(&Tree::new("nothing", &[]).0), None);
    }
}
