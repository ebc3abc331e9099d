import EtcdLog
import LineLogs
import Measures
import TandemAPI

/// `GET /servers`: the servers that share the log; of one that shares none, itself.
struct ServerList: Sendable {
    private let log: EtcdLog?
    private let address: String
    private let health: Health
    private let since = Timestamp.now()

    /// `address` is the address of a server that shares no log; `health` is this server's.
    init(_ log: EtcdLog?, address: String, health: Health) {
        self.log = log
        self.address = address
        self.health = health
    }

    /// `{"storage":"etcd","servers":[{"name":…,"address":…,"program":…,"since":…,"ready":…,"revision":…,"place":…}]}`; of a server that
    /// shares none `storage` is `sqlite`, and `revision` and `place` are not there.
    var json: [UInt8] {
        let members =
            log?.members
            ?? [
                EtcdLog.Member(
                    id: "single", address: address, program: OpenRPC.version, since: since, isOwn: true, isReady: true)
            ]
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("storage")
        writer.string(log == nil ? "sqlite" : "etcd")
        writer.key("servers")
        writer.beginArray()
        for member in members {
            writer.beginObject()
            for (name, text) in [
                ("name", member.id), ("address", member.address), ("program", member.program), ("since", member.since),
            ] {
                writer.key(text: name)
                writer.string(text)
            }
            writer.key("ready")
            writer.bool(member.isReady && (!member.isOwn || health.isReady))
            for (name, number) in [("revision", member.revision), ("place", member.place)] {
                guard let number else { continue }
                writer.key(text: name)
                writer.number(number)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.bytes
    }
}
