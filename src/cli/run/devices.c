/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which GPUs CUDA shows.
 *
 * An index in CUDA_VISIBLE_DEVICES means a GPU only together with CUDA_DEVICE_ORDER, with what the
 * container may open, and with where the list has its first entry that is none. Only the driver
 * knows all of that, so it is asked: a child process with the environment that the program will
 * have starts the driver and writes the UUIDs into a pipe. It makes no context. A driver that hangs
 * costs the time limit, one that crashes costs the child. That takes up to a second, so it is done
 * only where there are several GPUs and more than a single UUID to go by.
 *
 * Tested by tests/integration/cli_gpus.bats.
 */
#include "cli/run/devices.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/find/driver_find.h"
#include "base/options.h"
#include "cli/paths.h"
#include "hw/driver.h"

#define LIMIT_MS   60000
#define OF_MACHINE "/proc/driver/nvidia/gpus"

/* What the child says: less than PIPE_BUF, so whole or not at all. */
struct answer {
	uint32_t is_ok;
	struct devices devices;
};

uint32_t devices_of_machine(const struct options *options)
{
	DIR *dir = options->sim ? NULL : opendir(OF_MACHINE);
	const struct dirent *entry;
	uint32_t nr = 0;

	if (options->sim)
		return options->sim_nr_gpus;
	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		nr += entry->d_name[0] != '.';
	(void)closedir(dir);
	return nr;
}

static int find_driver(const struct options *options, char *ret_path, size_t size)
{
	struct driver_find find = {.configured = options->real_libcuda,
				   .search_path = options_environment("LD_LIBRARY_PATH")};
	size_t length = strlen(options->sim_libcuda);

	if (!options->sim)
		return driver_find(&find, ret_path, size);
	if (length == 0)
		return paths_sim_library(ret_path, size);
	if (length >= size)
		return -ENAMETOOLONG;
	memcpy(ret_path, options->sim_libcuda, length + 1);
	return 0;
}

/* --- the child -------------------------------------------------------------------------------- */

static void *lookup(void *cookie, const char *symbol)
{
	return dlsym(cookie, symbol);
}

static CUresult list(const struct driver_ops *ops, struct devices *ret_devices)
{
	CUresult result = ops->init(0);
	CUuuid uuid;
	int nr = 0;

	if (result == CUDA_ERROR_NO_DEVICE)
		return CUDA_SUCCESS;
	if (result == CUDA_SUCCESS)
		result = ops->device_count(&nr);
	for (int i = 0; i < nr && i < DEVICES_MAX && result == CUDA_SUCCESS; i++) {
		CUdevice device;

		result = ops->device_get(&device, i);
		if (result == CUDA_SUCCESS)
			result = ops->device_uuid(&uuid, device);
		memcpy(ret_devices->uuid[i], uuid.bytes, 16);
		ret_devices->nr = (uint32_t)i + 1;
	}
	return result;
}

static void be_child(const char *path, int fd)
{
	struct answer answer = {0};
	struct driver_ops ops;
	const char *missing;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (library != NULL && driver_ops_load(&ops, lookup, library, &missing) == 0 &&
	    list(&ops, &answer.devices) == CUDA_SUCCESS)
		answer.is_ok = 1;
	_exit(write(fd, &answer, sizeof(answer)) == (ssize_t)sizeof(answer) ? 0 : 1);
}

/* --- the parent ------------------------------------------------------------------------------- */

static int take_answer(int fd, pid_t child, struct devices *ret_devices)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};
	struct answer answer = {0};
	int r;

	do {
		r = poll(&pollfd, 1, LIMIT_MS);
	} while (r < 0 && errno == EINTR);
	if (r <= 0) {
		/* In a driver call it may not even die of that: it is not waited for. */
		(void)kill(child, SIGKILL);
		return -ETIMEDOUT;
	}
	r = read(fd, &answer, sizeof(answer)) == (ssize_t)sizeof(answer) ? 0 : -EIO;
	(void)waitpid(child, NULL, 0);
	if (r < 0 || !answer.is_ok || answer.devices.nr > DEVICES_MAX)
		return -EIO;
	*ret_devices = answer.devices;
	return 0;
}

int devices_ask(const struct options *options, struct devices *ret_devices)
{
	char path[PATHS_MAX];
	int ends[2];
	pid_t child;
	int r = find_driver(options, path, sizeof(path));

	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0)
		be_child(path, ends[1]);
	r = child < 0 ? -errno : 0;
	(void)close(ends[1]);
	if (r == 0)
		r = take_answer(ends[0], child, ret_devices);
	(void)close(ends[0]);
	return r;
}

int devices_index(const struct devices *devices, const uint8_t uuid[16])
{
	for (uint32_t i = 0; i < devices->nr; i++) {
		if (memcmp(devices->uuid[i], uuid, 16) == 0)
			return (int)i;
	}
	return -1;
}
