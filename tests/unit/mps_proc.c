/* SPDX-License-Identifier: Apache-2.0 */
/* Processes are recognised by name, user, parent and environment; pid files that lie are
 * noticed. */
#include "base_files.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/mps/mps_proc.h"

#define NR_CHILDREN 3

static pid_t child_new(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

static void child_end(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void *child_of_thread(void *cookie)
{
	*(pid_t *)cookie = child_new();
	/* The kernel gives a thread's children to another thread when it ends. */
	return NULL;
}

static int is_in(pid_t pid, const pid_t *pids, int nr)
{
	for (int i = 0; i < nr; i++) {
		if (pids[i] == pid)
			return 1;
	}
	return 0;
}

typedef int children_of(pid_t pid, pid_t *ret_pids, int max);

static void expect_children(children_of *children)
{
	pid_t child[NR_CHILDREN];
	pid_t found[16];
	pthread_t thread;
	int before = children(getpid(), found, 16);

	for (int i = 0; i < NR_CHILDREN - 1; i++)
		child[i] = child_new();
	assert_int_equal(pthread_create(&thread, NULL, child_of_thread, &child[NR_CHILDREN - 1]),
			 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(children(getpid(), found, 16), before + NR_CHILDREN);
	for (int i = 0; i < NR_CHILDREN; i++)
		assert_true(is_in(child[i], found, before + NR_CHILDREN));
	assert_int_equal(children(getpid(), found, 2), 2);
	for (int i = 0; i < NR_CHILDREN; i++)
		child_end(child[i]);
	assert_int_equal(children(getpid(), found, 16), before);
}

static void test_children(void **state)
{
	pid_t found[4];

	(void)state;
	expect_children(mps_proc_children);
	expect_children(mps_proc_children_by_scan);
	/* No process has this number. */
	assert_int_equal(mps_proc_children(1 << 29, found, 4), -ENOENT);
}

static void test_status(void **state)
{
	struct mps_proc proc;
	siginfo_t info;
	pid_t child = child_new();

	(void)state;
	assert_int_equal(mps_proc_read(child, &proc), 0);
	assert_int_equal(proc.parent, getpid());
	assert_int_equal(proc.uid, geteuid());
	assert_false(proc.is_zombie);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(mps_proc_read(child, &proc), 0);
	assert_true(proc.is_zombie);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(mps_proc_read(child, &proc), -ESRCH);
}

/* A process named `name` with one variable; -1 in the pipe tells that it has become it. */
static pid_t named_new(const char *name, const char *variable)
{
	const char *const argv[] = {name, "60", NULL};
	const char *const environment[] = {"FIRST=1", variable, NULL};
	int ends[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)execve("/bin/sleep", (char *const *)(uintptr_t)argv,
			     (char *const *)(uintptr_t)environment);
		_exit(127);
	}
	(void)close(ends[1]);
	/* Ends when execve has closed the other end. */
	assert_int_equal(read(ends[0], &byte, 1), 0);
	(void)close(ends[0]);
	return pid;
}

static void test_names(void **state)
{
	pid_t pid = named_new("/opt/somewhere/nvidia-cuda-mps-server", "VAR_A=/a");

	(void)state;
	assert_true(mps_proc_is_program(pid, "nvidia-cuda-mps-server"));
	assert_true(mps_proc_is_program(pid, "/elsewhere/nvidia-cuda-mps-server"));
	assert_false(mps_proc_is_program(pid, "nvidia-cuda-mps-serve"));
	assert_false(mps_proc_is_program(pid, "nvidia-cuda-mps-control"));
	assert_false(mps_proc_has_other_value(pid, "VAR_A", "/a"));
	assert_true(mps_proc_has_other_value(pid, "VAR_A", "/b"));
	assert_false(mps_proc_has_other_value(pid, "VAR_", "/b"));
	assert_false(mps_proc_has_other_value(pid, "NOT_THERE", "/b"));
	child_end(pid);
	assert_false(mps_proc_is_program(pid, "nvidia-cuda-mps-server"));
}

static int read_of_file(const char *text, pid_t *ret_pid)
{
	char path[] = "/tmp/mps_proc.XXXXXX";
	int fd = mkstemp(path);
	int r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	r = mps_proc_pid_file(path, ret_pid);
	(void)unlink(path);
	return r;
}

static void test_pid_file(void **state)
{
	static const char *const wrong[] = {
		"", "\n", "x", "12x", "-1", "0", "99999999999999999999", "1 2"};
	pid_t pid = 0;

	(void)state;
	assert_int_equal(read_of_file("123", &pid), 0);
	assert_int_equal(pid, 123);
	assert_int_equal(read_of_file("4567\n", &pid), 0);
	assert_int_equal(pid, 4567);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(read_of_file(wrong[i], &pid), -EPROTO);
	assert_int_equal(pid, 4567);
	assert_int_equal(mps_proc_pid_file("/no/such/file", &pid), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_pid_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
