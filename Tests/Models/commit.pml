/* Claim, journal, acknowledge, crash, recover: Sources/IPAM/Commit.swift (Engine.commit), ServiceCalls.swift (create),
 * ReleaseCalls.swift (release), Turns.swift (take, giveBack), Recovery.swift (run), and Sources/Ledger/Journal.swift
 * (takeNext, commit, outcome).
 *
 * Clients allocate and release names again and again; a group's commit is kept, or fails, or nobody knows; the process
 * may be killed between any two steps, and then only what is stored is left. A step is what the source does under one
 * lock, or in one transaction.
 *
 * Held at every moment: no address has two owners in the store; what a client was told is stored, and is what the next
 * one is told; what is stored is marked in the bitmap; and at rest nothing else is.
 *
 * With MUTATION set to 1...8 one line of the protocol is wrong, and spin must find it.
 */
#ifndef MUTATION
#define MUTATION 0
#endif
#ifndef CLIENTS
#define CLIENTS 2
#endif
#define NAMES 2
#ifndef ADDRESSES
#define ADDRESSES 2
#endif
#define NONE 255
#define UNKNOWN 254

/* Of the process: gone with it. */
bit marked[ADDRESSES];
byte registry[NAMES];
bit turn[NAMES];
mtype = { idle, asked, decided, queued, grouped };
mtype phase[CLIENTS];
byte claimed[CLIENTS];
mtype = { ready, committing, kept, notKept };
mtype journal;
bit hasFailed;

/* Of the clients: what each asks for. */
byte name[CLIENTS];
bit isRelease[CLIENTS];

/* Of the disk: journal and tables together, by name. */
byte stored[NAMES];

/* What only the checker sees: what an acknowledged call said of a name, while nobody has asked for something else. */
byte told[NAMES];
bit isLost;
bit isReady;

inline giveBackTurn(c) { turn[name[c]] = 0; phase[c] = idle; claimed[c] = NONE }

/* Any other call under way on the same name: what is told holds only without. */
inline countOthers(c) {
    others = 0;
    i = 0;
    do
    :: i < CLIENTS ->
        if
        :: i != c && phase[i] != idle && name[i] == name[c] && isRelease[i] != isRelease[c] -> others++
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

inline tell(c, what) {
    countOthers(c);
    if
    :: others == 0 -> told[name[c]] = what
    :: else
    fi;
    others = 0
}

/* The call of a client comes in. */
inline ask(c) {
    d_step {
        phase[c] == idle -> phase[c] = asked
    };
    if
    :: name[c] = 0
    :: name[c] = 1
    fi;
    if
    :: d_step { isRelease[c] = 1; told[name[c]] = UNKNOWN }
    :: d_step {
        isRelease[c] = 0;
        if
        :: told[name[c]] == NONE -> told[name[c]] = UNKNOWN
        :: else
        fi
    }
    fi
}

/* Turns.take. */
inline takeTurn(c) {
    d_step {
#if MUTATION == 5
        phase[c] == asked ->
#else
        phase[c] == asked && !turn[name[c]] -> turn[name[c]] = 1;
#endif
        phase[c] = decided
    }
}

#define mayNotTell (hasFailed && MUTATION != 8)

/* Engine.create: a replay is answered; else any free address is claimed. Engine.release: what is not there is answered. */
inline decide(c) {
    if
    /* Engine.confirmed: nothing is acknowledged any more. */
    :: d_step { mayNotTell && phase[c] == decided -> giveBackTurn(c) }
    :: d_step {
        !mayNotTell && phase[c] == decided && !isRelease[c] && registry[name[c]] != NONE ->
        assert(told[name[c]] == UNKNOWN || told[name[c]] == registry[name[c]]);
        tell(c, registry[name[c]]);
        giveBackTurn(c)
    }
    :: d_step {
        !mayNotTell && phase[c] == decided && !isRelease[c] && registry[name[c]] == NONE ->
        if
        :: !marked[0] -> claimed[c] = 0
        :: else ->
            if
            :: ADDRESSES > 1 && !marked[ADDRESSES - 1] -> claimed[c] = ADDRESSES - 1
            :: else -> claimed[c] = NONE
            fi
        fi;
        if
        :: claimed[c] == NONE -> giveBackTurn(c) /* RangeFull */
        :: else ->
            marked[claimed[c]] = 1;
            phase[c] = queued;
#if MUTATION == 1
            tell(c, claimed[c]);
#endif
        fi
    }
    :: d_step {
        !mayNotTell && phase[c] == decided && isRelease[c] ->
        if
        :: registry[name[c]] == NONE -> tell(c, NONE); giveBackTurn(c)
        :: else ->
            phase[c] = queued;
#if MUTATION == 2
            marked[registry[name[c]]] = 0;
#endif
        fi
    }
    fi
}

/* Journal.takeNext: all that is queued is one group. */
inline takeGroup() {
    d_step {
        journal == ready && !hasFailed && (phase[0] == queued || phase[CLIENTS - 1] == queued) ->
        i = 0;
        do
        :: i < CLIENTS ->
            if
            :: phase[i] == queued -> phase[i] = grouped
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0;
        journal = committing
    }
}

/* One transaction of the store. */
inline store() {
    i = 0;
    do
    :: i < CLIENTS ->
        if
        :: phase[i] == grouped ->
            if
            :: isRelease[i] -> stored[name[i]] = NONE
            :: else -> stored[name[i]] = claimed[i]
            fi
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
}

/* SQLiteLog.append: what the commit says, and what is read back where it can't. */
inline commit() {
    if
    :: d_step { journal == committing -> store(); journal = kept }
    :: d_step { journal == committing -> journal = notKept }
    /* Unknown, kept; resolve finds it. */
    :: d_step {
        journal == committing -> store();
#if MUTATION == 3
        journal = notKept
#else
        journal = kept
#endif
    }
    /* Unknown for good: Journal.fail. The marks stay. */
    :: d_step { journal == committing -> hasFailed = 1; isLost = 1; journal = ready }
    :: d_step { journal == committing -> store(); hasFailed = 1; isLost = 1; journal = ready }
    fi
}

/* Engine.commit's acknowledgement, one call of the group after the other: apply, free, answer, turn. */
inline acknowledge(c) {
    if
    :: d_step {
        journal == kept && phase[c] == grouped ->
        if
        :: isRelease[c] ->
            if
            :: registry[name[c]] != NONE -> marked[registry[name[c]]] = 0
            :: else
            fi;
            registry[name[c]] = NONE;
            tell(c, NONE)
        :: else ->
            registry[name[c]] = claimed[c];
            tell(c, claimed[c])
        fi;
        giveBackTurn(c);
        endGroup()
    }
    :: d_step {
        journal == notKept && phase[c] == grouped ->
        if
#if MUTATION != 6
        :: !isRelease[c] -> marked[claimed[c]] = 0
#endif
        :: else
        fi;
        giveBackTurn(c);
        endGroup()
    }
    /* Journal.submit refuses, or the outcome is unknown for good: an error is answered. */
    :: d_step {
        hasFailed && (phase[c] == grouped || phase[c] == queued) ->
        if
#if MUTATION == 7
        :: !isRelease[c] -> marked[claimed[c]] = 0
#else
        :: !isRelease[c] && phase[c] == queued -> marked[claimed[c]] = 0
#endif
        :: else
        fi;
        giveBackTurn(c)
    }
    fi
}

inline endGroup() {
    if
    :: phase[0] != grouped && phase[1] != grouped && phase[CLIENTS - 1] != grouped -> journal = ready
    :: else
    fi
}

/* kill -9, and the next process: Recovery.run. */
inline crash() {
    d_step {
        i = 0;
        do
        :: i < ADDRESSES -> marked[i] = 0; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < NAMES ->
            registry[i] = stored[i];
            turn[i] = 0;
            if
#if MUTATION != 4
            :: stored[i] != NONE -> marked[stored[i]] = 1
#endif
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < CLIENTS -> phase[i] = idle; claimed[i] = NONE; i++
        :: else -> break
        od;
        i = 0;
        journal = ready;
        hasFailed = 0;
        isLost = 0
    }
}

proctype Client(byte c) {
    byte i;
    byte others;
    do
    :: atomic { phase[c] == idle -> ask(c) }
    :: takeTurn(c)
    :: phase[c] == decided -> decide(c)
    :: (journal == kept || journal == notKept || hasFailed) && (phase[c] == grouped || phase[c] == queued) -> acknowledge(c)
    od
}

proctype Journal() {
    byte i;
    do
    :: takeGroup()
    :: journal == committing -> commit()
    od
}

proctype Power() {
    byte i;
    do
    :: crash()
    od
}

init {
    byte i;
    atomic {
        for (i : 0 .. NAMES - 1) { registry[i] = NONE; stored[i] = NONE; told[i] = NONE };
        for (i : 0 .. CLIENTS - 1) { phase[i] = idle; claimed[i] = NONE };
        journal = ready;
        for (i : 0 .. CLIENTS - 1) { run Client(i) };
        run Journal();
        run Power();
        isReady = 1
    }
}

#define isAtRest (phase[0] == idle && phase[1] == idle && phase[CLIENTS - 1] == idle && !isLost)
#define isHeld(a) (stored[0] == (a) || stored[1] == (a))
#define isTrue(n) (told[n] == UNKNOWN || (told[n] == stored[n] && told[n] == registry[n]))

#define hasOneOwner (stored[0] == NONE || stored[0] != stored[1])
#define isMarked(a) (!isHeld(a) || marked[a])
#define isClean(a) (!isAtRest || !marked[a] || isHeld(a))

/* At every moment. */
never {
    do
    :: assert(!isReady || (hasOneOwner && isTrue(0) && isTrue(1) && isMarked(0) && isMarked(ADDRESSES - 1)
        && isClean(0) && isClean(ADDRESSES - 1)))
    od
}
