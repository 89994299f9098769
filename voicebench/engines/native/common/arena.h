/* The memory of the walk at hand: addresses at first, pages once they are used. One walk goes at a
 * time, so there is one, whatever voices are open. */

#ifndef VOICEBENCH_ARENA_H
#define VOICEBENCH_ARENA_H

enum { ARENA = 1 << 29, BEHIND = 1 << 22 /* what a tile may read beyond the last row */ };

/* Return the memory, or NULL if there is none. */
char *arena(void);

#endif
