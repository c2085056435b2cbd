//! Makes a cgroup as a container's, puts a process in, and removes it: `strace -f -c` of it is the cost of cgroups in
//! a run (docs/adr/0003-cgroups.md).

use mydocker_runtime::cgroup::{Cgroup, CgroupPath, CgroupRecord, Layout, ResourcePlan};
use mydocker_runtime::spec::Resources;
use mydocker_sys::process;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::fs::metadata("/marker-begin").ok();
    let plan = ResourcePlan::from_spec(&Resources::default(), &[])?;
    let layout = Layout::load(plan.controllers())?;
    let path = CgroupPath::parse("/mydocker-cgroup-life", "life")?;
    let cgroup = Cgroup::create(CgroupRecord::place(&layout, &path), &plan.lower(&layout)?)?;
    let fds = cgroup.join_fds()?;
    match process::clone3(process::CloneArgs { flags: 0, cgroup: fds.clone_into() })? {
        process::Forked::Child => process::exit_now(i32::from(fds.join_v1().is_err())),
        process::Forked::Parent { pidfd, .. } => {
            fds.close()?;
            assert_eq!(process::wait(&pidfd)?.status(), 0);
        }
    }
    cgroup.remove(Instant::now() + Duration::from_secs(10))?;
    std::fs::metadata("/marker-end").ok();
    Ok(())
}
