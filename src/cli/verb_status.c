/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos status`: who is on which GPU, and what they have of it, as the daemon sees it. A daemon
 * is looked for where `lithos run` looks, but never started. The exit code is 1 when there is none.
 * Tested by tests/integration/cli_status.bats.
 */
#include <argp.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/daemon/client.h"
#include "cli/daemon/find.h"
#include "cli/help.h"
#include "cli/status/status.h"
#include "cli/table.h"

enum {
	KEY_SOCKET = 256,
	KEY_SIM,
};

struct status_args {
	enum format format;
	const char *socket;
	int has_sim;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct status_args *args = state->input;

	switch (key) {
	case KEY_SOCKET:
		args->socket = arg;
		return 0;
	case KEY_SIM:
		args->has_sim = 1;
		return 0;
	default:
		return format_parse(key, arg, state, &args->format);
	}
}

static int read_options(const struct status_args *args, struct options *ret_options)
{
	char wrong[512];

	if (options_read(ret_options, wrong, sizeof(wrong)) != 0) {
		cli_error("%s", wrong);
		return -EINVAL;
	}
	if (args->socket != NULL &&
	    (*args->socket == '\0' || strlen(args->socket) >= PLACE_PATH_MAX)) {
		cli_error("--socket wants the path of a socket, of at most %d bytes",
			  PLACE_PATH_MAX - 1);
		return -EINVAL;
	}
	if (args->socket != NULL)
		(void)snprintf(ret_options->socket, sizeof(ret_options->socket), "%s",
			       args->socket);
	ret_options->sim |= (uint32_t)args->has_sim;
	return 0;
}

static int ask(const struct options *options, json_t **ret_report)
{
	struct daemon_link link;
	int r;

	if (strcmp(options->socket, FIND_NO_DAEMON) == 0) {
		cli_error("LITHOS_SOCKET=none: there is no lithosd to ask");
		return -ENOENT;
	}
	r = find_daemon(options, 0, &link);
	if (r < 0)
		return r;
	r = status_ask(link.fd, ret_report);
	(void)close(link.fd);
	if (r < 0)
		cli_error("lithosd at %s %s", link.socket, client_strerror(r));
	return r;
}

/* A full disk is noticed when the buffer is written. */
static int print(const struct status_args *args, json_t *report)
{
	int r;

	if (args->format == FORMAT_JSON) {
		r = json_print(report, stdout);
	} else {
		r = status_print(report, stdout);
		json_decref(report);
	}
	return r == 0 && fflush(stdout) != 0 ? -errno : r;
}

int verb_status(int argc, char **argv)
{
	static const struct argp_option argp_options[] = {
		{"format", 'f', "table|json", 0, "For people or for programs", 0},
		{"socket", KEY_SOCKET, "PATH", 0, "Ask the lithosd that listens there", 0},
		{"sim", KEY_SIM, NULL, 0, "Ask the private lithosd of the simulated GPU", 0},
		{0}};
	static const struct argp argp = {argp_options,
					 parse,
					 "",
					 "Shows the GPUs of a lithosd and the tenants on them. "
					 "Exits with 1 when there is no lithosd.",
					 help_children,
					 NULL,
					 NULL};
	struct status_args args = {.format = FORMAT_TABLE};
	struct options options;
	json_t *report = NULL;
	int r;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0 || read_options(&args, &options) < 0)
		return EXIT_USAGE;
	if (ask(&options, &report) < 0)
		return 1;
	r = print(&args, report);
	if (r < 0)
		cli_error("cannot print the report: %s", strerror(-r));
	return r < 0 ? 1 : 0;
}
