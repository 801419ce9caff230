/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether MPS can be had: its two programs, where the daemon would find them.
 *
 * Problem: without MPS everything works and nothing is shared well. The driver gives the whole GPU
 * to one program after the other, so a program waits for its neighbours' time slices and quotas
 * mean little, and nobody says so.
 *
 * Idea: look where the daemon looks (base/find/program_find.h), PATH first, then where drivers of
 * containers and of node operators lie. The control starts the server by its name, so the server
 * must lie beside it or on PATH. What it does badly: it does not start them, so programs that lie
 * there and do not work pass; the daemon's log says that.
 *
 * Tested by tests/integration/cli_doctor.bats.
 */
#include <stdio.h>
#include <string.h>

#include "base/find/program_find.h"
#include "base/options.h"
#include "cli/doctor/finding.h"

/* Where `program` is; the second list for where the first has none. */
static int find_in_two(const char *first, const char *second, const char *program,
		       char ret_path[PATHS_MAX])
{
	if (program_find(first, program, ret_path, PATHS_MAX) == 0)
		return 0;
	return program_find(second, program, ret_path, PATHS_MAX);
}

static void missing(struct finding *finding, const char *program, const char *where)
{
	finding_set(finding, CHECK_MPS, STATUS_WARNING,
		    "install the driver's compute utilities; without MPS the driver time-slices: a "
		    "neighbour's work delays yours by milliseconds",
		    "no %s on PATH or in %s", program, where);
}

void check_mps(struct doctor *doctor)
{
	struct finding *finding = doctor_next(doctor);
	const char *path = options_environment("PATH");
	char control[PATHS_MAX];
	char folder[PATHS_MAX];
	char server[PATHS_MAX];

	if (doctor->is_sim) {
		finding_set(finding, CHECK_MPS, STATUS_SKIPPED, "",
			    "not needed by the simulated GPU");
		return;
	}
	if (find_in_two(path, MPS_USUAL_FOLDERS, MPS_CONTROL_NAME, control) < 0) {
		missing(finding, MPS_CONTROL_NAME, "the usual folders");
		return;
	}
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(control, '/') - control),
		       control);
	if (find_in_two(folder, path, MPS_SERVER_NAME, server) < 0) {
		missing(finding, MPS_SERVER_NAME, folder);
		return;
	}
	/* Said here, where nobody has lost a day to it yet. */
	finding_set(finding, CHECK_MPS, STATUS_OK, "",
		    "%s and %s; kernels that launch kernels fail under MPS (error 811): lithos run "
		    "--no-mps",
		    control, server);
}
