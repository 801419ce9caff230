/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading how many SMs somebody is told of. A program must run whatever the text says, so a bad one is as none:
 * it is said once, by the name of its option.
 *
 * Tested by tests/integration/shim_quota.bats.
 */
#include "shim/told/read.h"

#include <errno.h>
#include <stddef.h>

#include "base/log.h"

int told_read(const char *option, const char *text, struct told *ret_told)
{
	if (!text[0])
		return 0;
	if (told_parse(text, ret_told)) {
		log_line(NULL, LOG_ERROR, "msg=\"bad number of SMs, taken as not given\" %s=\"%s\"",
			 option, text);
		return -EINVAL;
	}
	return 1;
}
