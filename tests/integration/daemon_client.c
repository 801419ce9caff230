/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client side of include/lithos/proto.h, as small as it can be, and lithosd as a child process
 * on the simulated GPU. BUILD_DIR names the build that is tested.
 */
#include "daemon_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct test_daemon *daemon_on_failure;

static void show_log(const char *path)
{
	char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (fd < 0)
		return;
	(void)lseek(fd, end > (off_t)sizeof(text) ? end - (off_t)sizeof(text) : 0, SEEK_SET);
	n = read(fd, text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	(void)fprintf(stderr, "--- end of lithosd's log\n%s", text);
	(void)close(fd);
}

void client_check(int is_true, const char *what, const char *file, int line)
{
	if (is_true)
		return;
	(void)fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
	if (daemon_on_failure) {
		show_log(daemon_on_failure->log);
		if (daemon_on_failure->pid > 0)
			(void)kill(daemon_on_failure->pid, SIGKILL);
	}
	_exit(1);
}

uint64_t client_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void client_sleep_ms(int ms)
{
	(void)poll(NULL, 0, ms);
}

/* --- the daemon ------------------------------------------------------------------------------- */

void daemon_prepare(struct test_daemon *d, const char *config_text)
{
	char folder[] = "/tmp/lithosd-test-XXXXXX";
	FILE *file;

	memset(d, 0, sizeof(*d));
	CHECK(mkdtemp(folder) != NULL);
	(void)snprintf(d->folder, sizeof(d->folder), "%s", folder);
	(void)snprintf(d->socket, sizeof(d->socket), "%s/lithosd.sock", d->folder);
	(void)snprintf(d->state, sizeof(d->state), "%s/state.db", d->folder);
	(void)snprintf(d->log, sizeof(d->log), "%s/log", d->folder);
	daemon_on_failure = d;
	if (!config_text)
		return;
	(void)snprintf(d->config, sizeof(d->config), "%s/lithosd.yaml", d->folder);
	file = fopen(d->config, "we");
	CHECK(file != NULL);
	CHECK(fputs(config_text, file) >= 0);
	CHECK(fclose(file) == 0);
}

static void exec_daemon(const struct test_daemon *d)
{
	const char *build = getenv("BUILD_DIR");
	char program[512];
	int log = open(d->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	(void)snprintf(program, sizeof(program), "%s/bin/lithosd", build ? build : ".");
	(void)setenv("LITHOS_LOG", "debug", 0);
	(void)dup2(log, STDERR_FILENO);
	for (int fd = 0; fd < 3 && d->closes_descriptors; fd++)
		(void)close(fd);
	if (d->config[0])
		(void)execl(program, "lithosd", "--sim", "--config", d->config, "--socket",
			    d->socket, "--state", d->state, NULL);
	else
		(void)execl(program, "lithosd", "--sim", "--private", "--idle-exit", "600",
			    "--socket", d->socket, "--state", d->state, NULL);
	perror(program);
	_exit(127);
}

void daemon_start(struct test_daemon *d)
{
	uint64_t until_ns = client_now_ns() + 5ull * CLIENT_WAIT_MS * 1000000u;
	int fd = -1;

	d->pid = fork();
	CHECK(d->pid >= 0);
	if (d->pid == 0)
		exec_daemon(d);
	while (fd < 0 && client_now_ns() < until_ns && waitpid(d->pid, NULL, WNOHANG) == 0) {
		fd = client_try_connect(d->socket);
		if (fd < 0)
			client_sleep_ms(5);
	}
	CHECK(fd >= 0);
	(void)close(fd);
}

int daemon_start_in_vain(struct test_daemon *d)
{
	int status = 0;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		exec_daemon(d);
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

int daemon_stop(struct test_daemon *d, int signal)
{
	int status = 0;

	CHECK(kill(d->pid, signal) == 0);
	CHECK(waitpid(d->pid, &status, 0) == d->pid);
	d->pid = 0;
	return status;
}

void daemon_remove(struct test_daemon *d)
{
	char command[CLIENT_PATH_BYTES + 16];

	if (d->pid > 0) {
		int status = daemon_stop(d, SIGTERM);

		/* A sanitizer's finding shows here, too. */
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", d->folder);
	CHECK(system(command) == 0); /* NOLINT: a path this file made */
	daemon_on_failure = NULL;
}

/* --- messages --------------------------------------------------------------------------------- */

int client_try_connect(const char *socket_path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

int client_connect(const struct test_daemon *d)
{
	int fd = client_try_connect(d->socket);

	CHECK(fd >= 0);
	return fd;
}

void client_header(void *message, uint16_t type, size_t bytes)
{
	struct proto_header header = {.magic = PROTO_MAGIC,
				      .version = PROTO_VERSION,
				      .type = type,
				      .bytes = (uint32_t)bytes};

	memcpy(message, &header, sizeof(header));
}

int client_send(int fd, const void *message, size_t bytes, int passed_fd)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {.iov_len = bytes};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(&iov.iov_base, &message, sizeof(message));
	if (passed_fd >= 0) {
		struct cmsghdr *head;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &passed_fd, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)bytes ? 0 : -errno;
}

static void take_fds(struct msghdr *msg, struct received *ret)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(msg);

	if (!head || head->cmsg_type != SCM_RIGHTS)
		return;
	ret->nr_fds = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
	memcpy(ret->fds, CMSG_DATA(head), (size_t)ret->nr_fds * sizeof(int));
}

int client_receive(int fd, struct received *ret, int timeout_ms)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * 8)];
	struct iovec iov = {.iov_base = &ret->m, .iov_len = sizeof(ret->m)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t n;

	memset(ret, 0, sizeof(*ret));
	if (poll(&wait, 1, timeout_ms) <= 0)
		return -ETIMEDOUT;
	n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return 0;
	take_fds(&msg, ret);
	ret->bytes = (size_t)n;
	CHECK(ret->bytes >= sizeof(ret->m.header) && ret->m.header.magic == PROTO_MAGIC &&
	      ret->m.header.bytes == ret->bytes);
	return 1;
}

void received_close(struct received *r)
{
	for (int i = 0; i < r->nr_fds; i++)
		(void)close(r->fds[i]);
	r->nr_fds = 0;
}

void client_expect(int fd, uint16_t type, struct received *ret)
{
	CHECK(client_receive(fd, ret, CLIENT_WAIT_MS) == 1);
	if (ret->m.header.type == PROTO_REFUSED && type != PROTO_REFUSED)
		(void)fprintf(stderr, "refused: %s\n", ret->m.text.text);
	CHECK(ret->m.header.type == type);
}

void client_expect_end(int fd, int timeout_ms)
{
	struct received r;
	int got;

	while ((got = client_receive(fd, &r, timeout_ms)) == 1)
		received_close(&r);
	CHECK(got == 0);
}

/* --- tenants ---------------------------------------------------------------------------------- */

int client_admit(int fd, const struct wish *wish, struct received *ret_answer)
{
	struct proto_admit admit = {.quota_tpcs = wish->tpcs,
				    .quota_percent = wish->percent,
				    .priority = wish->priority};

	client_header(&admit, PROTO_ADMIT, sizeof(admit));
	(void)snprintf(admit.tenant, sizeof(admit.tenant), "%s", wish->name ? wish->name : "");
	(void)snprintf(admit.gpus, sizeof(admit.gpus), "%s", wish->gpus ? wish->gpus : "");
	CHECK(client_send(fd, &admit, sizeof(admit), -1) == 0);
	CHECK(client_receive(fd, ret_answer, CLIENT_WAIT_MS) == 1);
	return ret_answer->m.header.type;
}

int tenant_admitted(const struct test_daemon *d, const struct wish *wish,
		    struct proto_admitted *ret_admitted)
{
	int fd = client_connect(d);
	struct received answer;

	if (client_admit(fd, wish, &answer) == PROTO_REFUSED)
		(void)fprintf(stderr, "refused: %s\n", answer.m.text.text);
	CHECK(answer.m.header.type == PROTO_ADMITTED);
	*ret_admitted = answer.m.admitted;
	return fd;
}

static void *map(int fd, size_t bytes, int protection)
{
	void *map = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);

	CHECK(map != MAP_FAILED);
	return map;
}

static void take_attached(const struct received *r, struct attached *ret)
{
	const struct proto_attached *m = &r->m.attached;

	CHECK(r->nr_fds == (int)PROTO_NR_ATTACH_FDS);
	CHECK(m->topology_bytes == sizeof(ret->topology));
	ret->line = m->line;
	ret->tenant_id = m->tenant_id;
	memcpy(ret->fds, r->fds, sizeof(ret->fds));
	memcpy(&ret->topology, m->topology, sizeof(ret->topology));
	ret->grant = map(r->fds[0], sizeof(struct shm_grant), PROT_READ);
	ret->activity = map(r->fds[1], sizeof(struct shm_activity), PROT_READ | PROT_WRITE);
	ret->board = map(r->fds[2], sizeof(struct shm_board), PROT_READ);
}

/* The connection is kept when the answer is PROTO_ATTACHED. */
static int ask_to_attach(const struct test_daemon *d, const struct proto_attach *message,
			 int passed_fd, struct attached *ret, char *text)
{
	int fd = client_try_connect(d->socket);
	struct received r = {0};
	int got;

	if (fd < 0)
		return fd;
	got = client_send(fd, message, sizeof(*message), passed_fd);
	if (got == 0)
		got = client_receive(fd, &r, CLIENT_WAIT_MS);
	if (got != 1) {
		(void)close(fd);
		return got;
	}
	if (r.m.header.type == PROTO_ATTACHED) {
		take_attached(&r, ret);
		ret->fd = fd;
		return PROTO_ATTACHED;
	}
	if (text)
		(void)snprintf(text, PROTO_TEXT_BYTES, "%s", r.m.text.text);
	received_close(&r);
	(void)close(fd);
	return r.m.header.type;
}

int client_attach(const struct test_daemon *d, const struct proto_admitted *tenant,
		  struct attached *ret_attached, char *text)
{
	struct proto_attach message = {0};

	client_header(&message, PROTO_ATTACH, sizeof(message));
	memcpy(message.token, tenant->token, sizeof(message.token));
	memcpy(message.gpu_uuid, tenant->gpu_uuid, sizeof(message.gpu_uuid));
	return ask_to_attach(d, &message, -1, ret_attached, text);
}

int client_return(const struct test_daemon *d, const struct proto_admitted *tenant,
		  struct attached *a)
{
	struct proto_attach message = {.flags = PROTO_ATTACH_RETURN, .line = a->line};
	struct attached new;
	int r;

	client_header(&message, PROTO_ATTACH, sizeof(message));
	memcpy(message.token, tenant->token, sizeof(message.token));
	memcpy(message.gpu_uuid, tenant->gpu_uuid, sizeof(message.gpu_uuid));
	r = ask_to_attach(d, &message, a->fds[1], &new, NULL);
	if (r != PROTO_ATTACHED)
		return r;
	attached_close(a);
	*a = new;
	return r;
}

static void unmap(const volatile void *map, size_t bytes)
{
	void *address;

	memcpy(&address, &map, sizeof(map));
	(void)munmap(address, bytes);
}

void attached_close(struct attached *a)
{
	unmap(a->grant, sizeof(*a->grant));
	unmap(a->activity, sizeof(*a->activity));
	unmap(a->board, sizeof(*a->board));
	for (size_t i = 0; i < PROTO_NR_ATTACH_FDS; i++)
		(void)close(a->fds[i]);
	(void)close(a->fd);
}

volatile struct shm_proc *attached_line(const struct attached *a)
{
	return &a->activity->proc[a->line];
}

static uint32_t load_sequence(const struct attached *a)
{
	return __atomic_load_n(&a->grant->header.sequence, __ATOMIC_ACQUIRE);
}

struct shm_grant grant_now(const struct attached *a)
{
	struct shm_grant copy;
	uint32_t before;

	do {
		before = load_sequence(a);
		copy = *a->grant;
		/* x86 keeps loads in order; it is the compiler that must not move them. */
		__atomic_signal_fence(__ATOMIC_ACQUIRE);
	} while ((before & 1) || load_sequence(a) != before);
	return copy;
}

/* --- status ----------------------------------------------------------------------------------- */

static json_t *read_report(const struct received *r)
{
	size_t bytes = r->m.report.text_bytes;
	char *text;
	json_t *json;

	CHECK(r->nr_fds == 1 && bytes > 0);
	text = map(r->fds[0], bytes, PROT_READ);
	json = json_loadb(text, bytes, 0, NULL);
	(void)munmap(text, bytes);
	CHECK(json != NULL);
	return json;
}

json_t *client_status(const struct test_daemon *d)
{
	int fd = client_try_connect(d->socket);
	struct proto_header header;
	struct received r;
	json_t *json = NULL;

	if (fd < 0)
		return NULL;
	client_header(&header, PROTO_STATUS, sizeof(header));
	if (client_send(fd, &header, sizeof(header), -1) == 0 &&
	    client_receive(fd, &r, CLIENT_WAIT_MS) == 1) {
		CHECK(r.m.header.type == PROTO_REPORT);
		json = read_report(&r);
		received_close(&r);
	}
	(void)close(fd);
	return json;
}

json_t *status_tenant(const json_t *status, const char *name)
{
	const json_t *list = json_object_get(status, "tenants");

	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *tenant = json_array_get(list, i);

		if (strcmp(json_string_value(json_object_get(tenant, "name")), name) == 0)
			return tenant;
	}
	return NULL;
}

int64_t status_number(const json_t *status, const char *path)
{
	const char *dot = strchr(path, '.');
	char key[64];
	const json_t *value;

	(void)snprintf(key, sizeof(key), "%.*s", dot ? (int)(dot - path) : 63, path);
	value = json_object_get(status, key);
	if (dot)
		return value ? status_number(value, dot + 1) : -1;
	if (json_is_boolean(value))
		return json_is_true(value);
	return json_is_integer(value) ? json_integer_value(value) : -1;
}

int64_t daemon_number(const struct test_daemon *d, const char *path)
{
	json_t *status = client_status(d);
	int64_t value = status ? status_number(status, path) : -1;

	json_decref(status);
	return value;
}

int64_t tenant_number(const struct test_daemon *d, const char *name, const char *key)
{
	json_t *status = client_status(d);
	const json_t *tenant = status ? status_tenant(status, name) : NULL;
	int64_t value = tenant ? status_number(tenant, key) : -1;

	json_decref(status);
	return value;
}

pid_t client_fork(void (*body)(void *cookie), void *cookie)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	body(cookie);
	_exit(0);
}
