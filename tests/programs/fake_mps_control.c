/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Behaves like nvidia-cuda-mps-control, for tests on machines without a GPU; like
 * nvidia-cuda-mps-server under that name, which it gives itself for its servers.
 *
 *   -d                 leaves its parent, takes control_lock, makes `control` (a FIFO here) and
 *                      nvidia-cuda-mps-control.pid in CUDA_MPS_PIPE_DIRECTORY, and runs until
 *                      `quit`. Ends with 1 when the directory has a control already.
 *                      -multiuser-server: ignored
 *   without -d         reads commands: `quit` ends the control and waits for that,
 *                      `get_server_list` prints the server's pid
 *
 *   FAKE_MPS_SERVER=at-start   a server from the beginning; on-demand (the default): as soon as the
 *                              file `client` is in the pipe directory. One that dies is replaced
 *                              under the same condition. nvidia-cuda-mps-server.pid names it
 *   FAKE_MPS_FAIL=start        -d ends with 1
 *                 slow         the control comes up 300 ms after its launcher has ended
 *                 hang         -d never returns and starts nothing
 *                 dies         the control ends 20 ms after it came up
 *                 pid-first    the pid file comes 200 ms before `control`
 *                 helper       the control has a child that is no server, and ends it
 *                 multiuser    -d ends with 1 when given -multiuser-server
 *                 quit-hang    `quit` reaches the control and never returns
 *                 deaf         `quit` does nothing
 *                 stubborn     `quit` and SIGTERM do nothing, to control and server
 *
 * Control and server end by themselves when the pipe directory is gone, so that a test that fails
 * leaves nothing behind. The log directory gets control.log, one line an event.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVER_NAME  "nvidia-cuda-mps-server"
#define CONTROL_FILE "nvidia-cuda-mps-control.pid"
#define SERVER_FILE  SERVER_NAME ".pid"
#define TICK_MS      10

static const char *pipe_directory;
static const char *fail;

static volatile sig_atomic_t is_ended;

static void on_term(int number)
{
	(void)number;
	is_ended = 1;
}

static int fails(const char *how)
{
	return strcmp(fail, how) == 0;
}

static void sleep_ms(long ms)
{
	struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&time, NULL);
}

static const char *from_environment(const char *name, const char *dflt)
{
	const char *value = getenv(name);

	return value != NULL ? value : dflt;
}

static const char *in_directory(const char *name)
{
	static char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/%s", pipe_directory, name);
	return path;
}

static void log_event(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void log_event(const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/control.log",
		       from_environment("CUDA_MPS_LOG_DIRECTORY", "/var/log/nvidia-mps"));
	file = fopen(path, "ae");
	if (file == NULL)
		return;
	va_start(args, format);
	(void)vfprintf(file, format, args);
	va_end(args);
	(void)fputc('\n', file);
	(void)fclose(file);
}

/* Whole or not at all, as readers may come at any time. */
static void write_pid(const char *name, pid_t pid)
{
	char temporary[PATH_MAX];
	FILE *file;

	(void)snprintf(temporary, sizeof(temporary), "%s/%s.new", pipe_directory, name);
	file = fopen(temporary, "we");
	if (file == NULL)
		return;
	(void)fprintf(file, "%d\n", (int)pid);
	(void)fclose(file);
	(void)rename(temporary, in_directory(name));
}

static pid_t read_pid(const char *name)
{
	FILE *file = fopen(in_directory(name), "re");
	int pid = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	(void)fclose(file);
	return pid;
}

static int is_gone(const char *path)
{
	return access(path, F_OK) < 0;
}

static void take_term(void)
{
	struct sigaction action = {.sa_handler = fails("stubborn") ? SIG_IGN : on_term};

	(void)sigaction(SIGTERM, &action, NULL);
}

/* --- the server ------------------------------------------------------------------------------- */

static int be_server(void)
{
	take_term();
	while (!is_ended && !is_gone(pipe_directory))
		sleep_ms(TICK_MS);
	return 0;
}

static pid_t start_server(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)execl("/proc/self/exe", SERVER_NAME, (char *)NULL);
		_exit(127);
	}
	write_pid(SERVER_FILE, pid);
	log_event("server %d started", (int)pid);
	return pid;
}

static int wants_server(void)
{
	return strcmp(from_environment("FAKE_MPS_SERVER", "on-demand"), "at-start") == 0 ||
	       !is_gone(in_directory("client"));
}

static pid_t tend_server(pid_t server)
{
	int status;

	if (server > 0 && waitpid(server, &status, WNOHANG) == server) {
		log_event("server %d ended with %d", (int)server, status);
		(void)unlink(in_directory(SERVER_FILE));
		server = 0;
	}
	return server <= 0 && wants_server() ? start_server() : server;
}

/* --- the control ------------------------------------------------------------------------------ */

static int is_told_to_quit(int control)
{
	char text[64];
	ssize_t n = read(control, text, sizeof(text) - 1);

	if (n <= 0 || fails("deaf") || fails("stubborn"))
		return 0;
	text[n] = '\0';
	return strstr(text, "quit") != NULL;
}

/* Asked again and again: between fork and exec the server has this process' handler, which takes
 * the signal and does nothing. */
static void end_server(pid_t server)
{
	pid_t r = 0;

	while (server > 0 && (r == 0 || (r < 0 && errno == EINTR))) {
		(void)kill(server, SIGTERM);
		r = waitpid(server, NULL, WNOHANG);
		if (r == 0)
			sleep_ms(TICK_MS);
	}
}

static pid_t start_helper(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		while (!is_gone(pipe_directory))
			sleep_ms(TICK_MS);
		_exit(0);
	}
	return pid;
}

static int be_control(void)
{
	pid_t server = 0;
	pid_t helper = 0;
	int control;

	take_term();
	if (fails("slow"))
		sleep_ms(300);
	if (fails("pid-first")) {
		write_pid(CONTROL_FILE, getpid());
		sleep_ms(200);
	}
	(void)unlink(in_directory("control"));
	if (mkfifo(in_directory("control"), 0666) < 0)
		return 1;
	control = open(in_directory("control"), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (control < 0)
		return 1;
	write_pid(CONTROL_FILE, getpid());
	log_event("control %d started", (int)getpid());
	if (fails("helper"))
		helper = start_helper();
	for (int tick = 0; !is_ended && !is_gone(pipe_directory); tick++) {
		if (is_told_to_quit(control) || (fails("dies") && tick >= 2))
			break;
		server = tend_server(server);
		sleep_ms(TICK_MS);
	}
	end_server(server);
	if (helper > 0)
		(void)kill(helper, SIGKILL);
	(void)unlink(in_directory(SERVER_FILE));
	(void)unlink(in_directory(CONTROL_FILE));
	return 0;
}

static void sleep_for_ever(void)
{
	while (!is_gone(pipe_directory))
		sleep_ms(TICK_MS);
}

static int leave_parent(int is_multiuser)
{
	int lock;

	if (fails("start") || (fails("multiuser") && is_multiuser))
		return 1;
	if (fails("hang"))
		sleep_for_ever();
	lock = open(in_directory("control_lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return 1;
	if (fork() != 0)
		return 0;
	(void)setsid();
	if (fork() != 0)
		_exit(0);
	return be_control();
}

/* --- commands --------------------------------------------------------------------------------- */

static int quit(void)
{
	int control = open(in_directory("control"), O_WRONLY | O_NONBLOCK | O_CLOEXEC);

	if (control < 0 || write(control, "quit\n", 5) != 5)
		return 1;
	(void)close(control);
	if (fails("quit-hang"))
		sleep_for_ever();
	while (read_pid(CONTROL_FILE) != 0 && kill(read_pid(CONTROL_FILE), 0) == 0)
		sleep_ms(TICK_MS);
	return 0;
}

static int obey(void)
{
	char line[256];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (strncmp(line, "quit", 4) == 0)
			return quit();
		if (strncmp(line, "get_server_list", 15) == 0 && read_pid(SERVER_FILE) != 0)
			(void)printf("%d\n", (int)read_pid(SERVER_FILE));
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');

	name = name != NULL ? name + 1 : argv[0];
	pipe_directory = from_environment("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps");
	fail = from_environment("FAKE_MPS_FAIL", "");
	if (strcmp(name, SERVER_NAME) == 0)
		return be_server();
	if (argc > 1 && strcmp(argv[1], "-d") == 0)
		return leave_parent(argc > 2 && strcmp(argv[2], "-multiuser-server") == 0);
	return obey();
}
