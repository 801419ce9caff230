/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that programs of a measurement write (cli/bench/bench.h), and the sums that are done with
 * what is in them. The first byte says which file it is.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench/session.h"
#include "fuzz.h"

static void read_ready(const struct session *session)
{
	struct bench_facts facts = {0};

	if (session_read_ready(session, "program", &facts) < 0)
		fuzz_fail("facts were not read");
	if (facts.nr_versions > BENCH_MAX_VERSIONS ||
	    !memchr(facts.device, '\0', sizeof(facts.device)))
		fuzz_fail("facts do not fit");
	if (!isfinite(facts.service_ms) || facts.service_ms < 0)
		fuzz_fail("a service's time that is none");
}

static void read_result(const struct session *session)
{
	static const struct span window = {0, 1000000000};
	struct span *pairs = NULL;
	size_t nr = 0;
	double rate;

	if (session_read_result(session, "program", &pairs, &nr) < 0)
		return;
	rate = rate_in_window(pairs, nr, window);
	if (!isfinite(rate) || rate < 0)
		fuzz_fail("not a rate");
	free(pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session session;

	if (!size)
		return 0;
	(void)snprintf(session.folder, sizeof(session.folder), "%s", fuzz_folder());
	if (data[0] % 2) {
		(void)fuzz_file("ready.program", data + 1, size - 1);
		read_ready(&session);
	} else {
		(void)fuzz_file("result.program", data + 1, size - 1);
		read_result(&session);
	}
	return 0;
}
