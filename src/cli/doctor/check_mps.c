/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether MPS can be had: its two programs, where the daemon would find them.
 *
 * Problem: without MPS everything works and nothing is shared well. The driver gives the whole GPU to
 * one program after the other, so a program waits for its neighbours' time slices and quotas mean
 * little, and nobody says so.
 *
 * Idea: look where src/daemon/mps/mps_spawn.c looks, PATH first, then where drivers of containers and
 * of node operators lie. The control starts the server by its name, so the server must lie beside it
 * or on PATH. What it does badly: it does not start them, so programs that lie there and do not work
 * pass; the daemon's log says that.
 *
 * Tested by tests/integration/cli_doctor.bats.
 */
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "cli/doctor/finding.h"

#define CONTROL "nvidia-cuda-mps-control"
#define SERVER  "nvidia-cuda-mps-server"

static const char usual_folders[] = "/usr/bin:/usr/local/bin:/usr/local/nvidia/bin:/opt/nvidia/bin:"
				    "/run/nvidia/driver/usr/bin:/home/kubernetes/bin/nvidia/bin";

/* The first absolute folder of the list that has the program; 0, or -1. */
static int find_folder(const char *folders, const char *program, char *ret_folder, size_t size)
{
	while (folders != NULL && *folders != '\0') {
		size_t length = strcspn(folders, ":");
		char file[PATHS_MAX];

		if (*folders == '/' && length < size && length < sizeof(file) / 2) {
			(void)snprintf(file, sizeof(file), "%.*s/%s", (int)length, folders,
				       program);
			(void)snprintf(ret_folder, size, "%.*s", (int)length, folders);
			if (access(file, X_OK) == 0)
				return 0;
		}
		folders += length + (folders[length] == ':');
	}
	return -1;
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
	char server[PATHS_MAX];

	if (doctor->is_sim) {
		finding_set(finding, CHECK_MPS, STATUS_SKIPPED, "",
			    "not needed by the simulated GPU");
		return;
	}
	if (find_folder(path, CONTROL, control, sizeof(control)) < 0 &&
	    find_folder(usual_folders, CONTROL, control, sizeof(control)) < 0) {
		missing(finding, CONTROL, "the usual folders");
		return;
	}
	if (find_folder(control, SERVER, server, sizeof(server)) < 0 &&
	    find_folder(path, SERVER, server, sizeof(server)) < 0) {
		missing(finding, SERVER, control);
		return;
	}
	finding_set(finding, CHECK_MPS, STATUS_OK, "", "%s/" CONTROL " and %s/" SERVER, control,
		    server);
}
