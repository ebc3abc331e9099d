/* The bitmap and its marks: Sources/Allocation/Bitmap.swift and Bitmap+Search.swift.
 *
 * Two blocks of two words, one index a word, below one node below the root: the marks stand on two levels, as the proof
 * in Bitmap+Search.swift takes them. Each statement is one atomic access of the source, in its order; a function of the
 * source is the inline that carries its name. What the source says is only a guess - the relaxed looks of `claimBit`, the
 * acquiring ones of `firstUnmarked` - may see anything here, so that no memory order is taken for granted.
 *
 * Held: no index has two owners; while no marker is between its two acts a mark hides no free index, but one whose
 * release has not returned; `claimAny` says "full" only where that was so at one moment of its call; at rest, with
 * nothing under way, all is as it should be.
 *
 * With MUTATION set to 1...6 one line of the protocol is wrong, and spin must find it.
 */
#ifndef MUTATION
#define MUTATION 0
#endif
#ifndef WORKERS
#define WORKERS 2
#endif

#define INDICES 4
#define block(i) ((i) / 2)
#define NOBODY 255

bit taken[INDICES];
/* Node.marks of the node over the blocks, and of the root over the node. */
bit blockMark[2];
bit rootMark;
/* The low half of `settling`. Of the high half, and of `watchedReleases`, a call asks only whether they moved since it
 * looked: a bit for each worker. (They may wrap, but not within one call.) */
byte settling;
bit hasSettled[WORKERS];
byte watchers;
bit hasReleased[WORKERS];

/* What only the checker sees. */
byte owner[INDICES];
/* Who freed it last and has not returned. */
byte freeing[INDICES];
/* At some moment of the call of a worker everything was taken. */
bit wasFull[WORKERS];
bit isClaiming[WORKERS];

#define isFree(i) (!taken[i] && freeing[i] == NOBODY)
#define isHidden(i) (isFree(i) && (blockMark[block(i)] || rootMark))

inline tellSettled() {
    worker = 0;
    do
    :: worker < WORKERS -> hasSettled[worker] = 1; worker++
    :: else -> break
    od;
    worker = 0
}

inline tellReleased() {
    worker = 0;
    do
    :: worker < WORKERS -> hasReleased[worker] = 1; worker++
    :: else -> break
    od;
    worker = 0
}

inline note() {
    if
    :: !isFree(0) && !isFree(1) && !isFree(2) && !isFree(3) ->
        worker = 0;
        do
        :: worker < WORKERS -> wasFull[worker] = wasFull[worker] || isClaiming[worker]; worker++
        :: else -> break
        od;
        worker = 0
    :: else
    fi
}

/* Bitmap.claimBit, one bit a word: the exchange succeeds only where the bit is clear. */
inline claimBit(i) {
    if
    :: d_step {
        (MUTATION == 1 || !taken[i]) ->
        assert(owner[i] == NOBODY);
        taken[i] = 1; owner[i] = me; freeing[i] = NOBODY; found = i;
        note()
    }
    :: skip /* "none free" may come too early */
    fi
}

/* Bitmap.unmark(childAt:containing:) with clearMark, from the block's mark upward. */
inline unmark(b) {
    if
    :: blockMark[b] -> blockMark[b] = 0
    :: else
    fi;
#if MUTATION != 2
    unmarkRoot()
#endif
}

inline unmarkRoot() {
    if
    :: rootMark -> rootMark = 0
    :: else
    fi
}

/* Bitmap.release and releaseFlat: clearBit, clearMark level by level, tellWatchers. */
inline release(i) {
#if MUTATION == 3
    unmark(block(i));
#endif
    d_step { assert(owner[i] == me); taken[i] = 0; owner[i] = NOBODY; freeing[i] = me };
#if MUTATION != 3
    unmark(block(i));
#endif
    if
    :: watchers != 0 -> d_step { tellReleased() }
    :: else
    fi;
    d_step {
        if
        :: freeing[i] == me -> freeing[i] = NOBODY
        :: else
        fi;
        note()
    }
}

/* Bitmap.isFull, of the words of a block. */
inline isBlockFull(b) {
    isAll = taken[2 * b];
    if
    :: isAll -> isAll = taken[2 * b + 1]
    :: else
    fi
}

/* Bitmap.mark(childAt:containing:) of a block. */
inline markBlock(b) {
    d_step { settling++; tellSettled() };
    blockMark[b] = 1;
#if MUTATION != 4
    isBlockFull(b);
    if
    :: !isAll -> unmark(b)
    :: else
    fi;
#endif
    settling--
}

/* Bitmap.mark(childAt:containing:) of the node. */
inline markNode() {
    d_step { settling++; tellSettled() };
    rootMark = 1;
    /* The marks of a node are one word. */
    isAll = blockMark[0] && blockMark[1];
    if
    :: !isAll -> unmarkRoot()
    :: else
    fi;
    settling--
}

/* Bitmap.claimFirst(from:in:), claimAround. */
inline claimInBlock(b) {
    claimBit(2 * b);
    if
    :: found == NOBODY -> claimBit(2 * b + 1)
    :: else
    fi
}

/* Bitmap.claimFirst(in:) with firstUnmarked, and claimBeside: any child may seem marked, or not. */
inline claimFirst() {
    b = 0;
    do
    :: found == NOBODY && b < 2 ->
        if
        :: claimInBlock(b);
            if
            :: found == NOBODY -> markBlock(b)
            :: else
            fi
        :: skip
        fi;
        b++
    :: else -> break
    od;
    b = 0;
    if
    :: found == NOBODY -> if :: markNode() :: skip fi
    :: else
    fi
}

/* Bitmap.confirmFull. */
inline confirmFull() {
    d_step { isAll = (settling == 0); hasSettled[me] = 0 };
#if MUTATION == 5
    isAll = 1;
#endif
    if
    :: isAll -> isAll = rootMark
    :: else
    fi;
#if MUTATION != 5
    if
    :: isAll -> d_step { isAll = (settling == 0 && !hasSettled[me]); hasSettled[me] = 0 }
    :: else
    fi
#endif
}

/* Bitmap.collect: here a look at a word that is free takes it, since it is `claimBit` that looks. */
inline collect() {
    watchers++;
    do
    :: hasReleased[me] = 0;
        isAll = 1;
        b = 0;
        do
        :: found == NOBODY && b < INDICES ->
            claimBit(b);
            if
            :: found == NOBODY ->
                if
                :: taken[b]
                :: else -> isAll = 0
                fi
            :: else
            fi;
            b++
        :: else -> break
        od;
        if
        :: found != NOBODY -> break
#if MUTATION == 6
        :: found == NOBODY && isAll -> break
#else
        :: found == NOBODY && isAll && !hasReleased[me] -> break
        :: found == NOBODY && isAll && hasReleased[me]
#endif
        :: found == NOBODY && !isAll
        fi
    od;
    watchers--;
    b = 0
}

/* Bitmap.claimAny, which gives the marks sixteen chances: here any number. */
inline claimAny() {
    d_step { isClaiming[me] = 1; wasFull[me] = 0; note() };
    do
    :: claimFirst();
        if
        :: found != NOBODY -> break
        :: else
        fi;
        confirmFull();
        if
        :: isAll -> break
        :: else
        fi
    :: collect(); break
    od;
    assert(found != NOBODY || wasFull[me]);
    d_step { isClaiming[me] = 0; wasFull[me] = 0; hasSettled[me] = 0; hasReleased[me] = 0 }
}

proctype Worker(byte me; byte mine) {
    byte found = NOBODY;
    byte b;
    byte worker;
    bit isAll;
    do
    :: mine != NOBODY -> release(mine); mine = NOBODY
    :: mine == NOBODY -> claimAny(); d_step { mine = found; found = NOBODY }
    od
}

/* At first each worker but the last has an index; the others are nobody's who gives them back, but perhaps for one. */
init {
    byte i;
    atomic {
        for (i : 0 .. INDICES - 1) { taken[i] = 1; freeing[i] = NOBODY; owner[i] = WORKERS };
        for (i : 0 .. WORKERS - 2) { owner[i * 2 % INDICES] = i; run Worker(i, i * 2 % INDICES) };
        if
        :: d_step { taken[INDICES - 1] = 0; owner[INDICES - 1] = NOBODY }
        :: skip
        fi;
        run Worker(WORKERS - 1, NOBODY)
    }
}

/* At every moment. */
never {
    do
    :: assert(settling != 0 || !(isHidden(0) || isHidden(1) || isHidden(2) || isHidden(3)))
    od
}
