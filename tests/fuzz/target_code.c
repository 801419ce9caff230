/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine code, as kernels have it: the gang detector ends, with an answer that is one, and reads
 * nothing beyond what it was given. The first byte chooses the architecture.
 */
#include "fuzz.h"
#include "hw/code/gang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int archs[] = {70, 75, 80, 86, 89, 90, 100, 120};
	struct code_answer answer;
	struct code_input input;

	if (!size)
		return 0;
	input = (struct code_input){.bytes = data + 1,
				    .nr_bytes = size - 1,
				    .cc_major = archs[data[0] % 8] / 10,
				    .cc_minor = archs[data[0] % 8] % 10};
	if (code_find_gang(&input, &answer) < 0)
		fuzz_fail("an architecture is not known");
	if ((int)answer.verdict < CODE_FREE || answer.verdict > CODE_UNSURE ||
	    answer.reason >= CODE_NR_REASONS || (answer.offset && answer.offset >= size - 1))
		fuzz_fail("not an answer");
	if (!code_verdict_name(answer.verdict) || !code_reason_name(answer.reason))
		fuzz_fail("an answer without a name");
	return 0;
}
