/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether this process is a client of MPS, as CUDA finds out: by what lies in the folder of the
 * control daemon's pipes.
 *
 * The folder is CUDA_MPS_PIPE_DIRECTORY, by default /tmp/nvidia-mps. It counts when it holds the
 * process id of a control daemon that lives. CUDA_MPS_CLIENT_PRIORITY is 0 (normal) or 1 (below
 * normal).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/options.h"
#include "sim/client/link.h"

#define DEFAULT_FOLDER "/tmp/nvidia-mps"

/* The id of a living process in a file of the folder; 0 when there is none. */
static int32_t read_pid(const char *folder, const char *name)
{
	char path[512];
	int pid = 0;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return 0;
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1 || pid <= 0)
		pid = 0;
	(void)fclose(file);
	return pid && (!kill(pid, 0) || errno == EPERM) ? pid : 0;
}

void mps_read(struct proto_mps *ret_mps)
{
	const char *folder = options_environment("CUDA_MPS_PIPE_DIRECTORY");
	const char *priority = options_environment("CUDA_MPS_CLIENT_PRIORITY");
	struct stat status;

	memset(ret_mps, 0, sizeof(*ret_mps));
	if (!folder)
		folder = DEFAULT_FOLDER;
	if (stat(folder, &status))
		return;
	ret_mps->control_pid = read_pid(folder, "nvidia-cuda-mps-control.pid");
	if (!ret_mps->control_pid)
		return;
	ret_mps->server_pid = read_pid(folder, "nvidia-cuda-mps-server.pid");
	ret_mps->folder_device = status.st_dev;
	ret_mps->folder_inode = status.st_ino;
	ret_mps->priority = priority && !strcmp(priority, "1");
}
