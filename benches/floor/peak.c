/* peak FILE PROGRAM ARGUMENT...: runs the program and writes the peak resident set (kilobytes) of it and of the
 * children that it waited for to FILE. A process inherits the peak of the one that started it up to its execve, so
 * that only a very small program can start what is to be measured. */
#include <err.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int status;
    struct rusage usage;
    if (argc < 3) errx(2, "usage: peak FILE PROGRAM ARGUMENT...");
    pid_t pid = fork();
    if (pid < 0) err(1, "fork");
    if (pid == 0) {
        execv(argv[2], argv + 2);
        err(127, "%s", argv[2]);
    }
    if (wait4(pid, &status, 0, &usage) < 0) err(1, "wait4");
    FILE *file = fopen(argv[1], "w");
    if (!file || fprintf(file, "%ld\n", usage.ru_maxrss) < 0 || fclose(file)) err(1, "%s", argv[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
