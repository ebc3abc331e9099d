/// The requirements on peers' certificates.
enum PeerKind { case clients, servers }
