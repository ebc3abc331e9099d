import EtcdLog
import TandemAPI

/// `GET /servers`: the servers that share the log; of one that shares none, itself.
struct ServerList: Sendable {
    private let log: EtcdLog?
    private let address: String
    private let since = Timestamp.now()

    /// `address` is what a server is reached at that shares no log.
    init(_ log: EtcdLog?, address: String) {
        self.log = log
        self.address = address
    }

    /// `{"servers":[{"name":…,"address":…,"program":…,"since":…,"place":…}]}`.
    var json: [UInt8] {
        let members =
            log?.members ?? [EtcdLog.Member(id: "single", address: address, program: OpenRPC.version, since: since)]
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("servers")
        writer.beginArray()
        for member in members {
            writer.beginObject()
            for (name, text) in [
                ("name", member.id), ("address", member.address), ("program", member.program), ("since", member.since),
            ] {
                writer.key(name)
                writer.string(text)
            }
            if let place = member.place {
                writer.key("place")
                writer.number(place)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}
