/* hot-functions PROGRAM ARGUMENT...: runs a program instruction by instruction, and its children up to their execve, and
 * prints each address that was executed, in hexadecimal digits: the program has to be at fixed addresses. */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONGEST (16 << 20)
#define EVENTS (PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)

/* The first page of the program's file; the kernel's own mappings may lie below it. */
static unsigned long base_of(pid_t pid) {
    char path[64], line[4096];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    unsigned long start, offset, inode;
    while (maps && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%*x %*s %lx %*s %lu", &start, &offset, &inode) == 3 && inode && !offset) {
            fclose(maps);
            return start;
        }
    errx(1, "%s does not name the program", path);
}

int main(int argc, char **argv) {
    static unsigned char seen[LONGEST];
    if (argc < 2) errx(2, "usage: hot-functions PROGRAM ARGUMENT...");
    pid_t first = fork();
    if (first == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        execv(argv[1], argv + 1);
        err(127, "%s", argv[1]);
    }
    unsigned long base = 0;
    int status, result = 1;
    if (waitpid(first, &status, 0) < 0 || ptrace(PTRACE_SETOPTIONS, first, 0, EVENTS) < 0) err(1, "ptrace");
    ptrace(PTRACE_SINGLESTEP, first, 0, 0);
    for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;) {
        if (!WIFSTOPPED(status)) {
            if (pid == first) result = status;
            continue;
        }
        int sig = WSTOPSIG(status), event = status >> 16;
        if (event == PTRACE_EVENT_EXEC && pid != first) {
            ptrace(PTRACE_DETACH, pid, 0, 0);
            continue;
        }
        if (event == PTRACE_EVENT_EXEC) base = base_of(pid);
        struct user_regs_struct now;
        if (base && ptrace(PTRACE_GETREGS, pid, 0, &now) == 0 && now.rip - base < LONGEST) seen[now.rip - base] = 1;
        ptrace(PTRACE_SINGLESTEP, pid, 0, event || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig);
    }
    for (unsigned long offset = 0; offset < LONGEST; offset++)
        if (seen[offset]) printf("%lx\n", base + offset);
    return result != 0;
}
