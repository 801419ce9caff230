/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `lithos doctor`: runs every check and prints what was found and what to do. The exit code is the
 * worst status: 0 OK, 1 warning, 2 critical. Checks are in src/cli/doctor.
 */
#include <argp.h>
#include <stdlib.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/doctor/finding.h"
#include "cli/help.h"

struct doctor_args {
	enum format format;
	int is_sim;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct doctor_args *args = state->input;

	if (key != 's')
		return format_parse(key, arg, state, &args->format);
	args->is_sim = 1;
	return 0;
}

static int wants_sim(const struct doctor_args *args)
{
	struct options options;
	char ignored[64];

	(void)options_read(&options, ignored, sizeof(ignored));
	return args->is_sim || options.sim;
}

int verb_doctor(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"format", 'f', "table|json", 0, "For people or for programs", 0},
		{"sim", 's', NULL, 0, "Check the simulated GPU instead of a real one", 0},
		{0}};
	static const struct argp argp = {options,
					 parse,
					 "",
					 "Checks that lithos can work on this machine. Exits with "
					 "0 when all is well, 1 with "
					 "a warning, 2 when something critical is wrong.",
					 help_children,
					 NULL,
					 NULL};
	struct doctor_args args = {.format = FORMAT_TABLE};
	struct doctor *doctor;
	int code;

	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return EXIT_USAGE;
	doctor = calloc(1, sizeof(*doctor));
	if (doctor == NULL)
		return EXIT_USAGE;
	doctor->is_sim = wants_sim(&args);
	check_driver(doctor);
	check_shim(doctor);
	check_gpu(doctor);
	check_mps(doctor);
	check_permissions(doctor);
	code = doctor_print(doctor, args.format, stdout) < 0 ? EXIT_USAGE
							     : (int)doctor_worst(doctor);
	free(doctor);
	return code;
}
