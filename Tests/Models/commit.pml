/* Two servers over one log: Sources/IPAM/Engine.swift (perform), Commit/Commit.swift (commit), Books/Draft.swift (judge),
 * Books/Books+Apply.swift, Books/Marks.swift, Books/BooksLoad.swift, and Sources/Ledger/Journal (append, fences).
 *
 * At each server one call after the other allocates or releases a name: it passes a fence, is answered from the books, or claims and
 * proposes. A proposal lands or does not; what landed is judged by each server at its place, in the one order, however far behind
 * the server is. A server may be killed between any two steps: it starts from the folded form and follows. Where nobody can tell
 * whether a proposal landed, the server says nothing any more: to the others that is the same. There are no turns: nothing rests on
 * them. A step is what the source does under one lock, or on the log's thread at one place.
 *
 * Held at every moment: no address has two owners in any books; servers that applied the same have the same; what a call was told
 * is so, and stays so until somebody asks for something else; what is answered without a commit is no older than its call; a release
 * frees what it saw and nothing else; a proposal is kept once; what the books hold is marked, and at rest nothing else is.
 *
 * With MUTATION set to 1...12 one line of the protocol is wrong, and spin must find it.
 */
#ifndef MUTATION
#define MUTATION 0
#endif
#ifndef NAMES
#define NAMES 2
#endif
#ifndef ADDRESSES
#define ADDRESSES 1
#endif
/* That one of the servers has not applied, or that are not folded, at most. */
#define ENTRIES 2
#define SERVERS 2

/* An incarnation of a name with an address; it stands for the version as well, of which no two are alike. Each is used again once nothing
 * speaks of it any more, so that histories need no end. */
#define GENERATIONS 6
#define NONE 0
#define KINDS (NAMES * ADDRESSES)
#define LAST (KINDS * GENERATIONS)
#define nameOf(t) (((t) - 1) % NAMES)
#define addressOf(t) (((t) - 1) / NAMES % ADDRESSES)

typedef Books { byte object[NAMES] };
typedef Marks { bit isSet[ADDRESSES] };

/* Of each server: gone with it. */
Books books[SERVERS];
Marks marks[SERVERS];
/* Entries that it has not applied. */
byte lag[SERVERS];
/* Its call. */
mtype = { idle, asked, queued, placed };
mtype phase[SERVERS];
bit name[SERVERS];
bit isRelease[SERVERS];
/* Entries that are to be applied before it goes on. */
byte fence[SERVERS];
/* What it proposes. */
byte object[SERVERS];

/* The log: its folded form, and the entries behind it. */
Books folded;
byte entry[ENTRIES];
bit isDelete[ENTRIES];
bit proposer[ENTRIES];
byte count;

/* What only the checker sees: the books of a server that has applied all that landed; whether a caller knows what they say of a name, and
 * nobody has asked for something else; whether a call to the contrary came while this one was under way, and whether its proposal was kept
 * before; how many entries are older than the call and not applied. */
Books truth;
bit isKnown[NAMES];
bit isMixed[SERVERS];
bit wasKept[SERVERS];
byte older[SERVERS];

/* Of one step. */
hidden byte t;
hidden byte i;
hidden byte isKept;

#define end(s) phase[s] = idle; name[s] = 0; isRelease[s] = 0; fence[s] = 0; object[s] = NONE; isMixed[s] = 0; \
    wasKept[s] = 0; older[s] = 0

inline tell(s, what) {
    if
    :: !isMixed[s] -> assert(truth.object[name[s]] == what); isKnown[name[s]] = 1
    :: else
    fi;
    end(s)
}

/* Draft. An address is held by the object that has it, of either name. */
#define holds(b, n, a) (b.object[n] != NONE && addressOf(b.object[n]) == (a))
#define isHeld(b, a) (holds(b, 0, a) || holds(b, NAMES - 1, a))
#if MUTATION == 1
#define isAbsent(b, t) 1
#else
#define isAbsent(b, t) (b.object[nameOf(t)] == NONE)
#endif
#if MUTATION == 2
#define isFree(b, t) 1
#else
#define isFree(b, t) (!isHeld(b, addressOf(t)))
#endif
#if MUTATION == 3
#define isUnchanged(b, t) (b.object[nameOf(t)] != NONE)
#else
#define isUnchanged(b, t) (b.object[nameOf(t)] == (t))
#endif

/* Books.apply. */
inline change(b, t, deletes) {
    if
    :: deletes && isUnchanged(b, t) -> b.object[nameOf(t)] = NONE; isKept = 1
    :: !deletes && isAbsent(b, t) && isFree(b, t) -> b.object[nameOf(t)] = t; isKept = 1
    :: else -> isKept = 0
    fi
}

inline ask(s, n, releases) {
    d_step {
        phase[s] == idle ->
        phase[s] = asked; name[s] = n; isRelease[s] = releases;
        if
        :: releases || truth.object[n] == NONE -> isKnown[n] = 0
        :: else
        fi;
        if
        :: phase[1 - s] != idle && name[1 - s] == n && isRelease[1 - s] != releases -> isMixed[s] = 1; isMixed[1 - s] = 1
        :: else
        fi;
        older[s] = lag[s];
#if MUTATION != 5
        fence[s] = lag[s]
#endif
    }
}

#define seen(s) books[s].object[name[s]]
#define isThrough(s) (phase[s] == asked && fence[s] == 0)

/* Engine.run behind its fence: what the books show is answered, what is there is to go. */
inline decide(s) {
    d_step {
        isThrough(s) && (isRelease[s] || seen(s) != NONE) ->
        if
        :: isRelease[s] == (seen(s) == NONE) -> assert(older[s] == 0); tell(s, seen(s))
        :: else -> object[s] = seen(s); phase[s] = queued
        fi
    }
}

#define isSpokenOf(t) (truth.object[nameOf(t)] == t || folded.object[nameOf(t)] == t || books[0].object[nameOf(t)] == t || \
    books[1].object[nameOf(t)] == t || object[0] == t || object[1] == t || entry[0] == t || entry[1] == t)

/* What is free by the marks is claimed. */
inline claim(s, a) {
    d_step {
        isThrough(s) && !isRelease[s] && seen(s) == NONE && !marks[s].isSet[a] ->
        marks[s].isSet[a] = 1;
        t = 1 + name[s] + NAMES * a;
        do
        :: isSpokenOf(t) -> t = t + KINDS
        :: else -> break
        od;
        assert(t <= LAST);
        object[s] = t;
        phase[s] = queued
    }
}

/* RangeFull. */
inline refuse(s) {
    d_step {
        isThrough(s) && !isRelease[s] && seen(s) == NONE && marks[s].isSet[0] && marks[s].isSet[ADDRESSES - 1] -> end(s)
    }
}

/* Books.giveBack: a mark that has a holder stays. */
inline giveBack(s) {
    if
#if MUTATION == 9
    :: !isRelease[s] ->
#elif MUTATION == 10
    :: 0 ->
#else
    :: !isRelease[s] && !isHeld(books[s], addressOf(object[s])) ->
#endif
        marks[s].isSet[addressOf(object[s])] = 0
    :: else
    fi
}

/* The proposal gets its place. */
inline land(s) {
    entry[count] = object[s];
    isDelete[count] = isRelease[s];
    proposer[count] = s;
    count++;
    lag[0] = lag[0] + 1;
    lag[1] = lag[1] + 1;
    t = truth.object[name[s]];
    change(truth, object[s], isRelease[s]);
    assert(!isKept || (!wasKept[s] && !isKnown[name[s]] && t == (isRelease[s] -> object[s] : NONE)));
    wasKept[s] = isKept
}

#define isNext(s) (phase[s] == queued && count < ENTRIES)

/* Journal.append, and what the log says of it. */
inline append(s) {
    if
    :: d_step {
        isNext(s) ->
        land(s);
#if MUTATION == 8
        tell(s, (isRelease[s] -> NONE : object[s]))
#else
        phase[s] = placed
#endif
    }
    :: d_step { isNext(s) -> giveBack(s); end(s) }
#if MUTATION == 7
    /* Nobody knows whether it landed, and it is appended again. */
    :: d_step { isNext(s) -> land(s) }
#endif
    fi
}

#define place(s) (count - lag[s])
#if MUTATION == 4
/* What this server's own call has claimed is taken. */
#define isInTheWay(s, t) (marks[s].isSet[addressOf(t)] && !isHeld(books[s], addressOf(t)) && proposer[place(s)] != s)
#else
#define isInTheWay(s, t) 0
#endif

/* Books.apply with Marks. */
inline applyMarked(s, t, deletes) {
    isKept = 0;
    if
    :: !isInTheWay(s, t) -> change(books[s], t, deletes)
    :: else
    fi;
    if
    :: isKept -> marks[s].isSet[addressOf(t)] = !deletes
    :: else
    fi
}

/* The log's thread at one place: books, settlement, fence. */
inline apply(s) {
    d_step {
        lag[s] > 0 ->
        i = place(s);
        applyMarked(s, entry[i], isDelete[i]);
        lag[s] = lag[s] - 1;
        if
        :: older[s] > 0 -> older[s] = older[s] - 1
        :: else
        fi;
        if
        :: fence[s] > 0 -> fence[s] = fence[s] - 1
        :: else
        fi;
        if
        :: phase[s] == placed && proposer[i] == s && object[s] == entry[i] ->
            if
            :: isKept -> tell(s, (isRelease[s] -> NONE : object[s]))
            /* It decides again. */
            :: else -> giveBack(s); object[s] = NONE; phase[s] = asked
            fi
        :: else
        fi;
        fold();
        check()
    }
}

/* What both have applied goes into the folded form. */
inline fold() {
    if
    :: count > lag[0] && count > lag[1] ->
        change(folded, entry[0], isDelete[0]);
        entry[0] = entry[1]; isDelete[0] = isDelete[1]; proposer[0] = proposer[1];
        entry[1] = NONE; isDelete[1] = 0; proposer[1] = 0;
        count--
    :: else
    fi
}

/* kill -9, and the next process: BooksLoad, then the log behind it. */
inline restart(s) {
    d_step {
        for (i : 0 .. NAMES - 1) { books[s].object[i] = folded.object[i] };
#if MUTATION == 12
        lag[s] = (count > 0 -> count - 1 : 0);
#else
        lag[s] = count;
#endif
        for (i : 0 .. ADDRESSES - 1) {
#if MUTATION == 11
            marks[s].isSet[i] = 0
#else
            marks[s].isSet[i] = isHeld(folded, i)
#endif
        };
        end(s);
        check()
    }
}

#if MUTATION == 6
/* The log gives an entry a second time, behind a later one. */
inline repeat(s) {
    d_step {
        count > 1 && lag[s] == 0 -> applyMarked(s, entry[0], isDelete[0]); check()
    }
}
#endif

#define hasOneOwner(b) (NAMES == 1 || b.object[0] == NONE || b.object[NAMES - 1] == NONE || \
    addressOf(b.object[0]) != addressOf(b.object[NAMES - 1]))
#define areEqual(b) (b.object[0] == truth.object[0] && b.object[NAMES - 1] == truth.object[NAMES - 1])
#define isRight(s, a) ((!isHeld(books[s], a) || marks[s].isSet[a]) && \
    (phase[s] != idle || !marks[s].isSet[a] || isHeld(books[s], a)))

inline checkServer(s) {
    assert(hasOneOwner(books[s]));
    assert(lag[s] > 0 || areEqual(books[s]));
    assert(isRight(s, 0) && isRight(s, ADDRESSES - 1))
}

inline check() {
    checkServer(0);
    checkServer(1);
    assert(hasOneOwner(truth));
    assert(count > 0 || areEqual(folded))
}

proctype Server(bit me) {
    do
    :: ask(me, 0, 0)
    :: ask(me, 0, 1)
#if NAMES > 1
    :: ask(me, 1, 0)
    :: ask(me, 1, 1)
#endif
    :: decide(me)
    :: claim(me, 0)
#if ADDRESSES > 1
    :: claim(me, 1)
#endif
    :: refuse(me)
    :: append(me)
    :: apply(me)
    :: restart(me)
#if MUTATION == 6
    :: repeat(me)
#endif
    od
}

init {
    atomic {
        run Server(0);
        run Server(1)
    }
}
