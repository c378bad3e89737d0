/*
 * Threads of this process that wait inside the kernel, where no signal reaches them.
 *
 * A drive that no longer answers keeps such a thread until it does, and the thread its process: a
 * run that has said that the drive hangs may yet not be gone. That is worth a word, since whoever
 * waits for it can only look at the drive.
 */
#ifndef REFILL_BENCH_BOX_STUCK_H
#define REFILL_BENCH_BOX_STUCK_H

/* How many threads of the process with its files below root (/proc/self) are in state D in each
 * of two looks, a tenth of a second apart; 0 where that cannot be known. */
int stuck_threads(const char *root);

#endif
