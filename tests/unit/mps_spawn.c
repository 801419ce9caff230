/* SPDX-License-Identifier: Apache-2.0 */
/* What a program of MPS inherits, which program it is, and which directories it is given. */
#include "base_files.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/mps/mps_spawn.h"

static char scratch[] = "/tmp/mps_spawn.XXXXXX";

static const char *in_scratch(const char *name)
{
	static char path[2][256];
	static int turn;

	turn = !turn;
	(void)snprintf(path[turn], sizeof(path[turn]), "%s/%s", scratch, name);
	return path[turn];
}

/* Runs a shell script through mps_spawn; its output, which it writes to "$OUT", and its status. */
static const char *output_of(const char *script, const char *input, int *ret_status)
{
	static char text[8192];
	char out[300];
	const char *const argv[] = {"/bin/sh", "-c", script, NULL};
	const char *const setting[] = {out, "CUDA_MPS_PIPE_DIRECTORY=/ours", NULL};
	const struct mps_command command = {.argv = argv, .setting = setting, .input = input};
	FILE *file;
	size_t n = 0;
	pid_t pid;

	(void)snprintf(out, sizeof(out), "OUT=%s", in_scratch("out"));
	(void)unlink(in_scratch("out"));
	assert_int_equal(mps_spawn(&command, &pid), 0);
	assert_int_equal(waitpid(pid, ret_status, 0), pid);
	file = fopen(in_scratch("out"), "re");
	if (file != NULL) {
		n = fread(text, 1, sizeof(text) - 1, file);
		(void)fclose(file);
	}
	text[n] = '\0';
	return text;
}

static void test_descriptors(void **state)
{
	int status;
	int leaked = open("/dev/zero", O_RDONLY); /* without close-on-exec, on purpose */
	const char *text;

	(void)state;
	assert_true(leaked > 2);
	/* Builtins only: a pipe or a redirection would be a descriptor of the shell for a
	 * moment. */
	text = output_of("for fd in /proc/$$/fd/*; do "
			 "[ -e $fd ] && list=\"$list ${fd##*/}\"; "
			 "[ $fd -ef /dev/null ] && list=\"$list null\"; "
			 "done; echo \"$list\" > \"$OUT\"",
			 NULL, &status);
	(void)close(leaked);
	assert_string_equal(text, " 0 null 1 null 2 null\n");
}

static void test_environment(void **state)
{
	int status;
	const char *text;

	(void)state;
	assert_int_equal(setenv("LITHOS_TOKEN", "x", 1), 0);
	assert_int_equal(setenv("LD_PRELOAD", "", 1), 0);
	assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "1", 1), 0);
	assert_int_equal(setenv("CUDA_MPS_CLIENT_PRIORITY", "1", 1), 0);
	assert_int_equal(setenv("CUDA_MPS_PIPE_DIRECTORY", "/theirs", 1), 0);
	assert_int_equal(setenv("KEPT", "kept", 1), 0);
	text = output_of("env > \"$OUT\"", NULL, &status);
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "KEPT=kept\n"));
	assert_non_null(strstr(text, "CUDA_MPS_PIPE_DIRECTORY=/ours\n"));
	assert_null(strstr(text, "LITHOS_TOKEN"));
	assert_null(strstr(text, "LD_PRELOAD"));
	assert_null(strstr(text, "CUDA_VISIBLE_DEVICES"));
	assert_null(strstr(text, "CLIENT_PRIORITY"));
	assert_null(strstr(text, "/theirs"));
}

static void test_session_and_signals(void **state)
{
	int status;
	sigset_t all;
	sigset_t before;
	const char *text;
	void (*handler)(int);

	(void)state;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &before);
	handler = signal(SIGPIPE, SIG_IGN);
	/* 32 and 33 are the C library's own, and ignored where our caller found them so. */
	text = output_of(
		"grep -E '^Sig(Blk|Ign)' /proc/self/status | "
		"sed 's/0000000180000000/0000000000000000/' > \"$OUT\"; umask >> \"$OUT\"; "
		"pwd >> \"$OUT\"; read -r _ _ _ _ _ session _ < /proc/$$/stat; "
		"[ $session = $$ ] || echo 'not its session' >> \"$OUT\"",
		NULL, &status);
	(void)signal(SIGPIPE, handler);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	assert_string_equal(text,
			    "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0022\n/\n");
}

static void test_input(void **state)
{
	int status;

	(void)state;
	assert_string_equal(output_of("cat > \"$OUT\"", "quit\n", &status), "quit\n");
	assert_string_equal(output_of("cat > \"$OUT\"", NULL, &status), "");
}

static void test_cannot_run(void **state)
{
	const char *const argv[] = {"/no/such/program", NULL};
	const char *const setting[] = {NULL};
	const struct mps_command command = {.argv = argv, .setting = setting};
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(mps_spawn(&command, &pid), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 127);
}

static void make_program(const char *folder)
{
	char path[300];
	int fd;

	assert_int_equal(mkdir(in_scratch(folder), 0755), 0);
	(void)snprintf(path, sizeof(path), "%s/" MPS_CONTROL_NAME, in_scratch(folder));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	(void)close(fd);
}

static void test_binary(void **state)
{
	char expected[300];
	char path[300];
	char search[600];

	(void)state;
	make_program("a");
	make_program("b");
	(void)snprintf(search, sizeof(search), "relative::/no/such:%s:%s", in_scratch("b"),
		       in_scratch("a"));
	(void)snprintf(expected, sizeof(expected), "%s/" MPS_CONTROL_NAME, in_scratch("b"));
	assert_int_equal(mps_find_binary("", search, path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	assert_int_equal(mps_find_binary(expected, NULL, path, sizeof(path)), 0);
	assert_string_equal(path, expected);
	assert_int_equal(mps_find_binary(expected, NULL, path, 10), -ENAMETOOLONG);
	/* A configured file is taken or missed, never replaced by another. */
	assert_int_equal(mps_find_binary("/no/such", search, path, sizeof(path)), -ENOENT);
	assert_int_equal(mps_find_binary(scratch, search, path, sizeof(path)), -ENOENT);
	assert_int_equal(mps_find_binary("bin/sh", search, path, sizeof(path)), -ENOENT);
	assert_int_equal(chmod(expected, 0644), 0);
	assert_int_equal(mps_find_binary(expected, search, path, sizeof(path)), -ENOENT);
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_mode & 07777;
}

static void test_directories(void **state)
{
	char path[300];
	mode_t mask = umask(077);

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/p/q/r", scratch);
	assert_int_equal(mps_make_directory(path, 0755), 0);
	assert_int_equal(mode_of(path), 0755);
	assert_int_equal(mps_make_directory(path, 0700), 0);
	assert_int_equal(mode_of(path), 0700);
	(void)umask(mask);
	/* Others could put their own socket there. */
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(mps_make_directory(path, 0700), -EPERM);
	assert_int_equal(chmod(path, 0770), 0);
	assert_int_equal(mps_make_directory(path, 0700), -EPERM);
	assert_int_equal(symlink(path, in_scratch("link")), 0);
	assert_int_equal(mps_make_directory(in_scratch("link"), 0700), -ENOTDIR);
	assert_int_equal(mps_make_directory("/proc/no/such", 0700), -ENOENT);
	assert_int_equal(mps_make_directory("/dev/null/x", 0700), -ENOTDIR);
}

static void test_directory_of_others(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(mkdir(in_scratch("others"), 0755), 0);
	assert_int_equal(chown(in_scratch("others"), 65534, 65534), 0);
	assert_int_equal(mps_make_directory(in_scratch("others"), 0700), -EPERM);
}

static int make_scratch(void **state)
{
	(void)state;
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char command[300];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command); /* NOLINT(cert-env33-c) */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_session_and_signals),
		cmocka_unit_test(test_input),
		cmocka_unit_test(test_cannot_run),
		cmocka_unit_test(test_binary),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_directory_of_others),
	};

	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
