/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fetching a report.
 *
 * The daemon answers STATUS with a memfd, because a report of hundreds of tenants is larger than a
 * message. It is mapped and parsed in place, and that is only safe while nobody can shrink or
 * rewrite it: the seals are looked at first, and the size after them.
 *
 * Tested by tests/integration/cli_status.bats.
 */
#include "cli/status/status.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/daemon/client.h"

#define ANSWER_MS    10000
#define MAX_BYTES    (64ull << 20)
#define SEALS_WANTED (F_SEAL_SHRINK | F_SEAL_WRITE)

static int check_file(int fd, uint64_t bytes)
{
	struct stat info;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || (seals & SEALS_WANTED) != SEALS_WANTED)
		return -EPROTO;
	if (fstat(fd, &info) < 0)
		return -errno;
	return bytes > 0 && bytes <= MAX_BYTES && (uint64_t)info.st_size >= bytes ? 0 : -EPROTO;
}

int status_read(int fd, uint64_t bytes, json_t **ret_report)
{
	json_t *report;
	void *text;
	int r = check_file(fd, bytes);

	if (r < 0)
		return r;
	text = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return -errno;
	report = json_loadb(text, bytes, 0, NULL);
	(void)munmap(text, bytes);
	if (!json_is_object(report)) {
		json_decref(report);
		return -EPROTO;
	}
	*ret_report = report;
	return 0;
}

int status_ask(int fd, json_t **ret_report)
{
	union client_message message;
	int file = -1;
	int r;

	client_message_init(&message, PROTO_STATUS, sizeof(struct proto_header));
	r = client_send(fd, &message, ANSWER_MS);
	if (r == 0)
		r = client_receive(fd, ANSWER_MS, &message, &file);
	if (r < 0)
		return r;
	if (message.header.type != PROTO_REPORT || file < 0)
		r = -EPROTO;
	else
		r = status_read(file, message.report.text_bytes, ret_report);
	if (file >= 0)
		(void)close(file);
	return r;
}
