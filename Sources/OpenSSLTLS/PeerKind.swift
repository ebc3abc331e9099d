/// What is asked of peers' certificates.
enum PeerKind { case clients, servers }
