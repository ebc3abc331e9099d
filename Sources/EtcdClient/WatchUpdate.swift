import NIOCore

/// The events of a watch, in this order: the beginning, changes, and the reason of the end, which comes always and last.
public enum WatchUpdate: Sendable {
    /// The member has taken it up. `revision` is the store's at that moment.
    case began(revision: Int64, EtcdConnectionID)
    /// All that one revision changed among the keys. Revisions come in order, each once, none left out.
    case changed(revision: Int64, [WatchEvent])
    /// Go on from the last revision and one, except where `compactRevision` says that this one is gone.
    case ended(EtcdError)
}

/// Assembles a member's changes of one revision, which may come in pieces and among others.
package struct WatchAssembler {
    package struct Revision: Hashable {
        package var number: Int64
        package var events: [WatchEvent]
    }

    private var open: Revision?
    private var openBytes = 0
    /// Nothing up to it may come any more.
    private var last: Int64
    private let maximumBytes: Int

    package init(startRevision: Int64, maximumBytes: Int) {
        last = max(startRevision - 1, 0)
        self.maximumBytes = maximumBytes
    }

    /// The revisions that are whole with this response.
    package mutating func receive(_ response: WatchResponse) throws(EtcdError) -> [Revision] {
        var whole: [Revision] = []
        for event in response.events {
            let revision = event.keyValue.modRevision
            if let open, open.number != revision { whole.append(close(open)) }
            guard revision > last else {
                throw EtcdError(
                    .internal, "the member told of revision \(revision) behind revision \(last)",
                    mayHaveBeenApplied: false)
            }
            openBytes += event.keyValue.key.readableBytes + event.keyValue.value.readableBytes
            guard openBytes <= maximumBytes, (open?.events.count ?? 0) < ProtobufReader.maximumElements else {
                throw EtcdError(
                    .resourceExhausted, "the changes of revision \(revision) are too large", mayHaveBeenApplied: false)
            }
            if open == nil { open = Revision(number: revision, events: []) }
            open?.events.append(event)
        }
        if !response.isFragment, let open { whole.append(close(open)) }
        return whole
    }

    private mutating func close(_ revision: Revision) -> Revision {
        last = revision.number
        open = nil
        openBytes = 0
        return revision
    }
}
