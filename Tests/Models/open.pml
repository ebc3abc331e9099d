/* The open words of a flat bitmap: Sources/Allocation/Bitmap+Search.swift.
 *
 * One word of two indices, claimed, released and closed by three workers. Each statement is one atomic access of the source,
 * in its order; the relaxed looks, which are only guesses, may see anything.
 *
 * Held: while no closer and no release is between its acts, a word with a free index is open.
 *
 * With MUTATION set to 1...3 one line of the protocol is wrong, and spin must find it.
 */
#ifndef MUTATION
#define MUTATION 0
#endif
#define NOBODY 255

bit taken[2];
bit isOpen = 1;
/* What only the checker sees: closers and releases between their acts. */
byte busy;

#define isFull (taken[0] && taken[1])

/* Bitmap.clearBit, then open(_:) in releaseFlat. */
inline release(i) {
#if MUTATION == 1
    d_step { busy++; wasFull = isFull };
    if
    :: wasFull && !isOpen -> isOpen = 1
    :: else
    fi;
    taken[i] = 0;
#else
    d_step { busy++; wasFull = isFull; taken[i] = 0 };
#if MUTATION == 2
    wasFull = !wasFull;
#endif
    if
    :: wasFull ->
        if
        :: !isOpen -> isOpen = 1
        :: else
        fi
    :: else
    fi;
#endif
    d_step { wasFull = 0; busy-- }
}

/* Bitmap.closeIfFull. */
inline close() {
    d_step { busy++; isOpen = 0 };
#if MUTATION != 3
    if
    :: !isFull -> isOpen = 1
    :: else
    fi;
#endif
    busy--
}

proctype Worker(byte mine) {
    bit wasFull;
    do
    :: mine != NOBODY -> release(mine); mine = NOBODY
    :: d_step { mine == NOBODY && !taken[0] -> taken[0] = 1; mine = 0 }
    :: d_step { mine == NOBODY && !taken[1] -> taken[1] = 1; mine = 1 }
    :: close()
    od
}

init {
    atomic {
        taken[0] = 1; taken[1] = 1;
        if
        :: skip
        :: isOpen = 0
        fi;
        run Worker(0); run Worker(1); run Worker(NOBODY)
    }
}

/* At every moment. */
never {
    do
    :: assert(busy != 0 || isFull || isOpen)
    od
}
