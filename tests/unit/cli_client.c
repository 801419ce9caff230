/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are none, descriptors that come with them, and waits that end. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base_files.h"

#include "cli/daemon/client.h"

struct ends {
	int ours;
	int theirs;
};

static int ends_setup(void **state)
{
	struct ends *ends = calloc(1, sizeof(*ends));
	int pair[2];

	*state = ends;
	if (ends == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	ends->ours = pair[0];
	ends->theirs = pair[1];
	return 0;
}

static int ends_teardown(void **state)
{
	struct ends *ends = *state;

	(void)close(ends->ours);
	(void)close(ends->theirs);
	free(ends);
	return 0;
}

/* Sends so many bytes and copies of standard input's descriptor. */
static void say(const struct ends *ends, const void *bytes, size_t size, int nr_fds)
{
	union {
		char bytes[CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};

	if (nr_fds > 0) {
		struct cmsghdr *head = &control.align;

		packet.msg_control = control.bytes;
		packet.msg_controllen = CMSG_SPACE((size_t)nr_fds * sizeof(int));
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN((size_t)nr_fds * sizeof(int));
		memset(CMSG_DATA(head), 0, (size_t)nr_fds * sizeof(int)); /* descriptor 0 */
	}
	assert_int_equal(sendmsg(ends->theirs, &packet, 0), size);
}

static int lowest_free_fd(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	(void)close(fd);
	return fd;
}

static union client_message refusal(const char *text)
{
	union client_message message;

	client_message_init(&message, PROTO_REFUSED, sizeof(message.text));
	(void)snprintf(message.text.text, sizeof(message.text.text), "%s", text);
	return message;
}

static void test_a_message(void **state)
{
	const struct ends *ends = *state;
	union client_message sent = refusal("no\tway\n");
	union client_message got;
	int fd = 99;

	say(ends, &sent, sent.header.bytes, 0);
	assert_int_equal(client_receive(ends->ours, 1000, &got, &fd), 0);
	assert_int_equal(got.header.type, PROTO_REFUSED);
	assert_string_equal(got.text.text, "no way ");
	assert_int_equal(fd, -1);
	/* A text without an end gets one. */
	memset(sent.text.text, 'x', sizeof(sent.text.text));
	say(ends, &sent, sent.header.bytes, 0);
	assert_int_equal(client_receive(ends->ours, 1000, &got, &fd), 0);
	assert_int_equal(strlen(got.text.text), sizeof(got.text.text) - 1);
}

static void test_descriptors(void **state)
{
	const struct ends *ends = *state;
	union client_message sent;
	union client_message got;
	int before = lowest_free_fd();
	int fd = -1;

	client_message_init(&sent, PROTO_REPORT, sizeof(sent.report));
	say(ends, &sent, sent.header.bytes, 3);
	assert_int_equal(client_receive(ends->ours, 1000, &got, &fd), 0);
	assert_int_equal(fd, before);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	(void)close(fd);
	assert_int_equal(lowest_free_fd(), before);
	/* Those of a message that is refused are not kept. */
	sent.header.magic++;
	say(ends, &sent, sent.header.bytes, 3);
	assert_int_equal(client_receive(ends->ours, 1000, &got, &fd), -EPROTO);
	assert_int_equal(lowest_free_fd(), before);
}

static void expect_error(const struct ends *ends, const void *bytes, size_t size, int error)
{
	union client_message got;
	int fd = 7;

	say(ends, bytes, size, 0);
	assert_int_equal(client_receive(ends->ours, 1000, &got, &fd), error);
	assert_int_equal(fd, 7);
}

static void test_what_is_no_message(void **state)
{
	const struct ends *ends = *state;
	union client_message sent = refusal("x");
	static const char huge[PROTO_MAX_BYTES + 1];

	expect_error(ends, "GET / HTTP/1.1\r\n\r\n", 18, -EPROTO);
	expect_error(ends, &sent, 3, -EPROTO);
	expect_error(ends, &sent, sizeof(sent.header), -EPROTO);
	expect_error(ends, &sent, sent.header.bytes - 1, -EPROTO);
	expect_error(ends, huge, sizeof(huge), -EPROTO);
	sent.header.bytes--;
	expect_error(ends, &sent, sent.header.bytes, -EPROTO);
	sent = refusal("x");
	sent.header.type = PROTO_ADMIT;
	expect_error(ends, &sent, sent.header.bytes, -EPROTO);
	sent.header.type = 999;
	expect_error(ends, &sent, sent.header.bytes, -EPROTO);
	sent = refusal("x");
	sent.header.version++;
	expect_error(ends, &sent, sent.header.bytes, -EPROTONOSUPPORT);
}

static void test_waits_end(void **state)
{
	struct ends *ends = *state;
	union client_message message;
	int fd;
	int r = 0;

	assert_int_equal(client_receive(ends->ours, 20, &message, &fd), -ETIMEDOUT);
	assert_int_equal(client_receive(ends->ours, 0, &message, &fd), -ETIMEDOUT);
	/* Somebody who does not read. */
	client_message_init(&message, PROTO_ADMIT, sizeof(message.admit));
	for (int i = 0; r == 0 && i < 100000; i++)
		r = client_send(ends->ours, &message, 20);
	assert_int_equal(r, -ETIMEDOUT);
	(void)close(ends->theirs);
	ends->theirs = -1;
	assert_int_equal(client_receive(ends->ours, 1000, &message, &fd), -ECONNRESET);
	assert_int_equal(client_send(ends->ours, &message, 20), -ECONNRESET);
}

static void test_connecting(void **state)
{
	const char *scratch = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[200];
	uint32_t uid = 0;
	int fd = 7;
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(path, sizeof(path), "%s/s", scratch);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
	assert_int_equal(client_connect(path, &fd), -ENOENT);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(client_connect(path, &fd), -ECONNREFUSED);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(fd, 7);
	assert_int_equal(client_connect(path, &fd), 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(client_peer_uid(fd, &uid), 0);
	assert_int_equal(uid, geteuid());
	(void)close(fd);
	(void)close(listener);
	memset(path, 'x', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(client_connect(path, &fd), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_message, ends_setup, ends_teardown),
		cmocka_unit_test_setup_teardown(test_descriptors, ends_setup, ends_teardown),
		cmocka_unit_test_setup_teardown(test_what_is_no_message, ends_setup, ends_teardown),
		cmocka_unit_test_setup_teardown(test_waits_end, ends_setup, ends_teardown),
		cmocka_unit_test_setup_teardown(test_connecting, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
