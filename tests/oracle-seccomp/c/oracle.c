/*
 * Builds filters with libseccomp from commands on standard input, one a line, and answers each `export`, `resolve`,
 * `names` and `version` with one line:
 *
 *   version
 *   names TOKEN                              every call of an architecture: "NUMBER NAME NUMBER NAME ..."
 *   filter DEFAULT_ACTION OPTIMIZE TOKEN     begins a filter for one architecture
 *   arch TOKEN                               adds an architecture
 *   rule ACTION NAME COUNT [INDEX OP A B]... adds a rule, all conditions together
 *   export                                   "error RC" of the first command that failed, or the instructions
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/filter.h>

static scmp_filter_ctx ctx;
static int failure;

static void note(int rc)
{
	if (rc < 0 && rc != -EEXIST && failure == 0)
		failure = rc;
}

static void begin(uint32_t action, int optimize, uint32_t token)
{
	if (ctx)
		seccomp_release(ctx);
	failure = 0;
	ctx = seccomp_init(action);
	if (token != seccomp_arch_native()) {
		note(seccomp_arch_remove(ctx, seccomp_arch_native()));
		note(seccomp_arch_add(ctx, token));
	}
	if (optimize)
		note(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
}

static void rule(char *line)
{
	char name[128];
	uint32_t action;
	int count, used, i, rc;
	struct scmp_arg_cmp args[6];

	if (sscanf(line, "%" SCNx32 " %127s %d%n", &action, name, &count, &used) != 3) {
		note(-EINVAL);
		return;
	}
	for (i = 0; i < count; i++) {
		unsigned int op;
		line += used;
		if (sscanf(line, "%u %u %" SCNu64 " %" SCNu64 "%n", &args[i].arg, &op, &args[i].datum_a,
			   &args[i].datum_b, &used) != 4) {
			note(-EINVAL);
			return;
		}
		args[i].op = op;
	}
	int nr = seccomp_syscall_resolve_name(name);
	if (nr == __NR_SCMP_ERROR)
		return;
	rc = seccomp_rule_add_array(ctx, action, nr, count, args);
	if (rc < 0 && failure == 0)
		failure = rc;
}

static void export(void)
{
	struct sock_filter insn;
	int fd;

	if (failure) {
		printf("error %d\n", failure);
		return;
	}
	fd = memfd_create("filter", MFD_CLOEXEC);
	if (fd < 0 || (failure = seccomp_export_bpf(ctx, fd)) < 0 || lseek(fd, 0, SEEK_SET) != 0) {
		printf("error %d\n", failure);
		return;
	}
	while (read(fd, &insn, sizeof(insn)) == sizeof(insn))
		printf("%u %u %u %u ", insn.code, insn.jt, insn.jf, insn.k);
	printf("\n");
	close(fd);
}

static void names_in(uint32_t token, int from, int to)
{
	for (int nr = from; nr < to; nr++) {
		char *name = seccomp_syscall_resolve_num_arch(token, nr);
		if (name) {
			printf("%d %s ", nr, name);
			free(name);
		}
	}
}

/* Pseudo numbers of calls that are only reached through socketcall and ipc are negative, and name calls too. */
static void names(uint32_t token)
{
	int bases[] = { 0, 4000, 5000, 6000, 0x0f0000, 0x40000000 };

	names_in(token, -224, -99);
	for (unsigned int i = 0; i < sizeof(bases) / sizeof(*bases); i++)
		names_in(token, bases[i], bases[i] + 700);
	printf("\n");
}

int main(void)
{
	char *line = NULL;
	size_t size = 0;
	uint32_t a, c;
	int b;

	while (getline(&line, &size, stdin) > 0) {
		if (sscanf(line, "filter %" SCNx32 " %d %" SCNx32, &a, &b, &c) == 3)
			begin(a, b, c);
		else if (sscanf(line, "arch %" SCNx32, &a) == 1)
			note(seccomp_arch_add(ctx, a));
		else if (strncmp(line, "rule ", 5) == 0)
			rule(line + 5);
		else if (strcmp(line, "export\n") == 0)
			export();
		else if (sscanf(line, "names %" SCNx32, &a) == 1)
			names(a);
		else if (strcmp(line, "version\n") == 0)
			printf("%u.%u.%u\n", seccomp_version()->major, seccomp_version()->minor,
			       seccomp_version()->micro);
		else
			printf("error %d\n", -ENOSYS);
		fflush(stdout);
	}
	return 0;
}
