/* The floor: what the kernel alone takes for `run /bin/true`, without any of a runtime's own work.
 *
 * floor ROOTFS [NAME HIERARCHY...]: makes the namespaces of the bench bundle, its mounts and devices, changes the
 * root, runs /bin/true and waits. With NAME, the same with the cgroup NAME made, joined, shown inside and removed
 * in each HIERARCHY. Masks, capabilities, limits and seccomp are left out, so that it stays a lower bound. */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(call) do { if ((call) < 0) err(1, "%s", #call); } while (0)
#define NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET)
#define QUIET (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static char *path(const char *format, const char *a, const char *b, const char *c) {
    static char buffer[4096];
    snprintf(buffer, sizeof buffer, format, a, b, c);
    return buffer;
}

static void copy(const char *hierarchy, const char *name, const char *file) {
    char text[256], parent[2048];
    snprintf(parent, sizeof parent, "%s/%s", hierarchy, name);
    *strrchr(parent, '/') = 0;
    int from = open(path("%s/%s", parent, file, 0), O_RDONLY), to = open(path("%s/%s/%s", hierarchy, name, file), O_WRONLY);
    ssize_t length = read(from, text, sizeof text);
    if (length < 0 || write(to, text, length) != length) err(1, "%s", file);
    close(from), close(to);
}

/* Moving oneself as a single thread ("0" into a v1 tasks file) is the only move for which the kernel does not take
 * its lock over all thread groups; on a machine that rests, waiting for that lock takes a grace period of RCU. */
static void join(const char *hierarchy, const char *name) {
    int tasks = open(path("%s/%s/tasks", hierarchy, name, 0), O_WRONLY);
    if (tasks < 0 || write(tasks, "0", 1) != 1) err(1, "%s", path("%s/%s", hierarchy, name, 0));
    close(tasks);
}

/* The hierarchy of cgroup v2 has no tasks file; clone3 begins there. */
static int is_v2(const char *hierarchy) {
    return access(path("%s/cgroup.controllers", hierarchy, 0, 0), F_OK) == 0;
}

static void mount_cgroups(const char *name, char **hierarchies) {
    if (!hierarchies[1]) {
        TRY(mount(path("%s/%s", hierarchies[0], name, 0), "sys/fs/cgroup", 0, MS_BIND, 0));
        return;
    }
    TRY(mount("tmpfs", "sys/fs/cgroup", "tmpfs", QUIET, "mode=755"));
    for (; *hierarchies; hierarchies++) {
        char target[256];
        snprintf(target, sizeof target, "sys/fs/cgroup%s", strrchr(*hierarchies, '/'));
        TRY(mkdir(target, 0755));
        TRY(mount(path("%s/%s", *hierarchies, name, 0), target, 0, MS_BIND, 0));
    }
}

static void devices(void) {
    static const struct { const char *path; int minor, major; } nodes[] = {
        {"dev/null", 3, 1}, {"dev/zero", 5, 1}, {"dev/full", 7, 1}, {"dev/random", 8, 1}, {"dev/urandom", 9, 1}, {"dev/tty", 0, 5}};
    static const char *links[][2] = {{"/proc/self/fd", "dev/fd"}, {"/proc/self/fd/0", "dev/stdin"},
        {"/proc/self/fd/1", "dev/stdout"}, {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"}};
    for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++)
        TRY(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) TRY(symlink(links[i][0], links[i][1]));
}

static void container(const char *rootfs, const char *name, char **hierarchies) {
    TRY(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
    TRY(mount(rootfs, rootfs, 0, MS_BIND | MS_REC, 0));
    TRY(chdir(rootfs));
    TRY(mount("proc", "proc", "proc", 0, 0));
    TRY(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
    TRY(mkdir("dev/pts", 0755)); TRY(mkdir("dev/shm", 0755)); TRY(mkdir("dev/mqueue", 0755));
    TRY(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
    TRY(mount("shm", "dev/shm", "tmpfs", QUIET, "mode=1777,size=65536k"));
    TRY(mount("mqueue", "dev/mqueue", "mqueue", QUIET, 0));
    TRY(mount("sysfs", "sys", "sysfs", QUIET | MS_RDONLY, 0));
    if (name) mount_cgroups(name, hierarchies);
    devices();
    TRY(sethostname("bench", 5));
    TRY(syscall(SYS_pivot_root, ".", "."));
    TRY(umount2(".", MNT_DETACH));
    TRY(mount(0, "/", 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0));
    execl("/bin/true", "true", (char *)0);
    err(1, "execve");
}

int main(int argc, char **argv) {
    if (argc < 2 || argc == 3) errx(2, "usage: floor ROOTFS [NAME HIERARCHY...]");
    const char *name = argc > 3 ? argv[2] : 0;
    struct clone_args args = {.flags = NAMESPACES | (name ? 0 : CLONE_NEWCGROUP), .exit_signal = SIGCHLD};
    char *v2 = 0;
    int status;
    for (char **h = argv + 3; name && *h; h++) {
        TRY(mkdir(path("%s/%s", *h, name, 0), 0755));
        if (!strcmp(strrchr(*h, '/'), "/cpuset")) copy(*h, name, "cpuset.cpus"), copy(*h, name, "cpuset.mems");
        if (is_v2(*h)) {
            v2 = *h;
            args.flags |= CLONE_INTO_CGROUP;
            int into = open(path("%s/%s", v2, name, 0), O_PATH | O_CLOEXEC);
            TRY(into);
            args.cgroup = into;
        }
    }
    pid_t pid = syscall(SYS_clone3, &args, sizeof args);
    TRY(pid);
    if (pid == 0) {
        for (char **h = argv + 3; name && *h; h++) if (*h != v2) join(*h, name);
        /* The cgroup namespace takes the cgroups of this moment as its root, so it comes after the joining. */
        if (name) TRY(unshare(CLONE_NEWCGROUP));
        container(argv[1], name, argv + 3);
    }
    TRY(waitpid(pid, &status, 0));
    for (char **h = argv + 3; name && *h; h++) TRY(rmdir(path("%s/%s", *h, name, 0)));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
