/* SPDX-License-Identifier: Apache-2.0 */
/* lithosd.yaml: any bytes are read or refused with a sentence, and a refusal changes nothing. */
#include "daemon/config.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config before;
	struct config config;
	char error[1024] = "";

	memset(&before, 0, sizeof(before));
	config_defaults(&before);
	config = before;
	if (config_read(&config, fuzz_file("lithosd.yaml", data, size), error, sizeof(error)) < 0) {
		/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): both began as zeros */
		if (memcmp(&before, &config, sizeof(config)) != 0)
			fuzz_fail("a file that was refused has changed something");
		if (!error[0] || !memchr(error, '\0', sizeof(error)))
			fuzz_fail("a refusal without a sentence");
		return 0;
	}
	if (config.nr_gpus > CONFIG_MAX_GPUS || !memchr(config.socket, '\0', CONFIG_PATH_BYTES) ||
	    !memchr(config.state, '\0', CONFIG_PATH_BYTES))
		fuzz_fail("what was read does not fit");
	return 0;
}
