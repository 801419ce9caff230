/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks that need no GPU call: driver, shim, device files and folders.
 *
 * Each says what it looked at, so that a finding can be checked by hand. Nothing is created but
 * the cache folder, which the first program under lithos would make.
 *
 * Tested by tests/integration/cli_doctor.bats.
 */
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cache_dir.h"
#include "base/find/driver_find.h"
#include "base/options.h"
#include "cli/doctor/finding.h"

static void found_driver(struct doctor *doctor)
{
	char *real = realpath(doctor->driver_path, NULL);
	const char *version = real != NULL ? strstr(real, "libcuda.so.") : NULL;
	struct finding *finding = doctor_next(doctor);

	version = version != NULL ? version + strlen("libcuda.so.") : "1";
	/* Only a configured path can be one of ours: driver_find passes them over. */
	if (elf_has_note(doctor->driver_path, LITHOS_NOTE_OWNER) == 1)
		finding_set(finding, CHECK_DRIVER, STATUS_CRITICAL,
			    "unset LITHOS_REAL_LIBCUDA, or let it name NVIDIA's library",
			    "%s is a lithos library, not a driver", doctor->driver_path);
	else
		finding_set(finding, CHECK_DRIVER, STATUS_OK, "", "%s, version %s",
			    doctor->driver_path,
			    strcmp(version, "1") != 0 ? version : "not in its name");
	doctor->has_driver = finding->status == STATUS_OK;
	free(real);
}

static void check_real_driver(struct doctor *doctor)
{
	struct options options;
	char ignored[64];
	struct driver_find find = {.configured = options.real_libcuda,
				   .search_path = options_environment("LD_LIBRARY_PATH")};
	int r;

	(void)options_read(&options, ignored, sizeof(ignored));
	r = driver_find(&find, doctor->driver_path, sizeof(doctor->driver_path));
	if (r == 0)
		found_driver(doctor);
	else if (r == -ENODEV)
		finding_set(doctor_next(doctor), CHECK_DRIVER, STATUS_CRITICAL,
			    "correct or unset LITHOS_REAL_LIBCUDA", "%s is not a readable file",
			    options.real_libcuda);
	else
		finding_set(
			doctor_next(doctor), CHECK_DRIVER, STATUS_CRITICAL,
			"install NVIDIA's driver, start the container with --gpus, or use --sim",
			"no libcuda.so.1 on LD_LIBRARY_PATH, in the loader cache or a usual "
			"folder");
}

void check_driver(struct doctor *doctor)
{
	int r;

	if (!doctor->is_sim) {
		check_real_driver(doctor);
		return;
	}
	r = paths_sim_library(doctor->driver_path, sizeof(doctor->driver_path));
	doctor->has_driver = r == 0;
	if (r == 0)
		finding_set(doctor_next(doctor), CHECK_DRIVER, STATUS_OK, "",
			    "%s, the simulated GPU", doctor->driver_path);
	else
		finding_set(doctor_next(doctor), CHECK_DRIVER, STATUS_CRITICAL,
			    "build or install the simulated driver", "no %s", doctor->driver_path);
}

void check_shim(struct doctor *doctor)
{
	struct finding *finding = doctor_next(doctor);
	char folder[PATHS_MAX];
	char file[PATHS_MAX + sizeof(PATHS_LIBRARY) + 1];

	if (paths_shim_folder(folder, sizeof(folder)) < 0) {
		finding_set(finding, CHECK_SHIM, STATUS_CRITICAL, "build or install lithos whole",
			    "no %s in %s", PATHS_LIBRARY, folder);
		return;
	}
	(void)snprintf(file, sizeof(file), "%s/%s", folder, PATHS_LIBRARY);
	if (elf_has_note(file, LITHOS_NOTE_OWNER) == 1)
		finding_set(finding, CHECK_SHIM, STATUS_OK, "", "%s", file);
	else
		finding_set(finding, CHECK_SHIM, STATUS_CRITICAL, "build or install lithos again",
			    "%s is not a library of lithos", file);
}

/* NULL, or what is wrong with the device files, and how bad that is. */
static const char *device_trouble(enum status *ret_status)
{
	glob_t gpus;
	int nr_usable = 0;

	*ret_status = STATUS_CRITICAL;
	if (access("/dev/nvidiactl", F_OK) < 0)
		return "/dev/nvidiactl is missing";
	if (access("/dev/nvidiactl", R_OK | W_OK) < 0)
		return "/dev/nvidiactl cannot be read and written";
	if (glob("/dev/nvidia[0-9]*", 0, NULL, &gpus) != 0)
		return "there is no /dev/nvidia0 or other GPU file";
	for (size_t i = 0; i < gpus.gl_pathc; i++)
		nr_usable += access(gpus.gl_pathv[i], R_OK | W_OK) == 0;
	globfree(&gpus);
	if (nr_usable == 0)
		return "no /dev/nvidia<N> can be read and written";
	/* The driver makes this one at the first use, when it may. */
	*ret_status = STATUS_WARNING;
	if (access("/dev/nvidia-uvm", R_OK | W_OK) < 0)
		return "/dev/nvidia-uvm is missing or cannot be read and written";
	*ret_status = STATUS_OK;
	return NULL;
}

static void check_devices(struct doctor *doctor)
{
	struct finding *finding = doctor_next(doctor);
	enum status status;
	const char *trouble = device_trouble(&status);

	if (doctor->is_sim)
		finding_set(finding, CHECK_DEVICES, STATUS_SKIPPED, "",
			    "not needed by the simulated GPU");
	else if (trouble != NULL)
		finding_set(finding, CHECK_DEVICES, status,
			    "load the kernel module (nvidia-smi, nvidia-modprobe -u), give the "
			    "container its GPUs, or join the group that owns the files",
			    "%s", trouble);
	else
		finding_set(finding, CHECK_DEVICES, STATUS_OK, "",
			    "nvidiactl, a GPU and nvidia-uvm can be read and written");
}

static void check_cache(struct doctor *doctor)
{
	struct finding *finding = doctor_next(doctor);
	struct options options;
	char folder[PATHS_MAX];
	char ignored[64];

	(void)options_read(&options, ignored, sizeof(ignored));
	if (cache_dir_choose(options.cache_dir, folder, sizeof(folder)) == 0)
		finding_set(finding, CHECK_CACHE, STATUS_OK, "", "%s", folder);
	else
		finding_set(finding, CHECK_CACHE, STATUS_WARNING,
			    "set LITHOS_CACHE_DIR; until then every program probes the GPU when it "
			    "starts",
			    "no folder for topologies can be written");
}

static void check_run_folder(struct doctor *doctor)
{
	struct finding *finding = doctor_next(doctor);
	const char *runtime = options_environment("XDG_RUNTIME_DIR");

	if (runtime != NULL && access(runtime, W_OK | X_OK) == 0)
		finding_set(finding, CHECK_RUN_DIR, STATUS_OK, "", "%s", runtime);
	else if (access("/tmp", W_OK | X_OK) == 0)
		finding_set(finding, CHECK_RUN_DIR, STATUS_OK, "", "/tmp");
	else
		finding_set(finding, CHECK_RUN_DIR, STATUS_CRITICAL,
			    "make /tmp writable or set XDG_RUNTIME_DIR or TMPDIR: lithos run needs "
			    "it",
			    "none of XDG_RUNTIME_DIR, TMPDIR and /tmp can be written");
}

void check_permissions(struct doctor *doctor)
{
	check_devices(doctor);
	check_cache(doctor);
	check_run_folder(doctor);
}
