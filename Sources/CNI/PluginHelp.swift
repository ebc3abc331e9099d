import TandemAPI

/// The text of `tandem-cni --help`.
public enum PluginHelp {
    public static let version = BuildInfo.text

    public static let text = """
        tandem-cni: a CNI IPAM plugin whose addresses come from a Tandem server, or from several of one range.

        A container runtime runs it through plugins such as bridge, ptp or macvlan, with the variables CNI_COMMAND (ADD,
        DEL, CHECK, STATUS, GC or VERSION), CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS and CNI_ARGS, and a network
        configuration of version \(CNIVersion.allCases.map(\.rawValue).joined(separator: ", ")) on standard input. Its section "ipam" may have:

          "type"       "tandem-cni"
          "server"     HOST:PORT (default 127.0.0.1:8443); several, "A,B" or ["A", "B"], are tried in turn
          "caFile"     the CA of the server's certificate, PEM
          "certFile"   the node's certificate, PEM: user system:node:NAME of group system:nodes
          "keyFile"    its key, PEM
          "node"       the node (default: NAME of the certificate)
          "routes"     [{"dst": CIDR, "gw": IP}, ...]: given to every pod
          "dns"        {"nameservers", "domain", "search", "options"}: given to every pod
          "timeoutMs"  time for all attempts, in milliseconds, 1 to 600000 (default 10000)

        CNI_ARGS may have K8S_POD_NAMESPACE, K8S_POD_NAME, K8S_POD_UID, and IP to ask for an address (two with a comma
        between); args.cni.ips and runtimeConfig.ips ask as well.

        Errors are JSON on standard output with exit status 1. Codes: 1 version, 2 unsupported field, 4 variables, 5 input,
        6 JSON, 7 configuration, 11 try again later, 50 no ADD can be served (STATUS), 100 + gRPC's number of the status
        of the server's refusal.

          --help, --version

        """
}
