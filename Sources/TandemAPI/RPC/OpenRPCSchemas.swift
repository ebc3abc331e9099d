extension OpenRPC {
    /// The schemas of messages, by name. Objects have further members of Kubernetes' v1, which are kept as they come: these are the ones that the
    /// server reads or gives.
    static let schemas: JSONValue = {
        // A text that is no JSON would be a fault of this file, and each method's test reads it.
        guard let schemas = try? JSONValue(parsing: schemaText) else { preconditionFailure("the schemas are no JSON") }
        return schemas
    }()

    private static let schemaText = """
        {
        "ObjectMeta": {"type": "object", "properties": {"namespace": {"type": "string", "description":
          "Of Services and pods; default where absent."}, "name": {"type": "string"}, "uid": {"type": "string"},
          "resourceVersion": {"type": "string", "pattern": "^[0-9]*$", "description":
          "The server's; an update may name the one that it knows."}, "creationTimestamp": {"type": "string",
          "format": "date-time"}, "labels": {"type": "object"}, "annotations": {"type": "object"}}},
        "Family": {"type": "string", "enum": ["IPv4", "IPv6"]},
        "ServicePort": {"type": "object", "properties": {"name": {"type": "string"}, "protocol": {"type": "string",
          "enum": ["TCP", "UDP", "SCTP"]}, "port": {"type": "integer", "minimum": 1, "maximum": 65535}, "nodePort":
          {"type": "integer", "minimum": 0, "maximum": 65535, "description":
          "0 or absent: the server chooses one where the type has them."}}},
        "ServiceSpec": {"type": "object", "properties": {"type": {"type": "string", "enum": ["ClusterIP",
          "NodePort", "LoadBalancer", "ExternalName"]}, "ipFamilyPolicy": {"type": "string", "enum": ["SingleStack",
          "PreferDualStack", "RequireDualStack"]}, "ipFamilies": {"type": "array", "items": {"$ref":
          "#/components/schemas/Family"}, "description": "The first one can't be changed."}, "clusterIP": {"type":
          "string", "description": "The first of clusterIPs; None for a headless Service."}, "clusterIPs": {"type":
          "array", "items": {"type": "string"}}, "externalName": {"type": "string"}, "selector": {"type": "object"},
          "ports": {"type": "array", "items": {"$ref": "#/components/schemas/ServicePort"}}, "healthCheckNodePort":
          {"type": "integer", "minimum": 0, "maximum": 65535}, "externalTrafficPolicy": {"type": "string", "enum": [
          "Cluster", "Local"]}, "allocateLoadBalancerNodePorts": {"type": "boolean"}, "loadBalancerIP": {"type":
          "string"}, "loadBalancerClass": {"type": "string"}}},
        "IngressIP": {"type": "object", "properties": {"ip": {"type": "string"}}},
        "LoadBalancerStatus": {"type": "object", "properties": {"ingress": {"type": "array", "items": {"$ref":
          "#/components/schemas/IngressIP"}}}},
        "ServiceStatus": {"type": "object", "properties": {"loadBalancer": {"$ref":
          "#/components/schemas/LoadBalancerStatus"}}},
        "Service": {"type": "object", "description": "A Kubernetes v1 Service.", "required": ["metadata"],
          "properties": {"apiVersion": {"const": "v1"}, "kind": {"const": "Service"}, "metadata": {"$ref":
          "#/components/schemas/ObjectMeta"}, "spec": {"$ref": "#/components/schemas/ServiceSpec"}, "status": {
          "$ref": "#/components/schemas/ServiceStatus"}}},
        "NodeSpec": {"type": "object", "properties": {"podCIDR": {"type": "string", "description":
          "The first of podCIDRs."}, "podCIDRs": {"type": "array", "items": {"type": "string"}}}},
        "Node": {"type": "object", "description": "A Kubernetes v1 Node.", "required": ["metadata"], "properties": {
          "apiVersion": {"const": "v1"}, "kind": {"const": "Node"}, "metadata": {"$ref":
          "#/components/schemas/ObjectMeta"}, "spec": {"$ref": "#/components/schemas/NodeSpec"}}},
        "PodSpec": {"type": "object", "properties": {"nodeName": {"type": "string"}, "hostNetwork": {"type":
          "boolean", "description": "Such a pod has its node's addresses, and holds none."}}},
        "PodIP": {"type": "object", "required": ["ip"], "properties": {"ip": {"type": "string"}}},
        "PodStatus": {"type": "object", "properties": {"phase": {"type": "string"}, "podIP": {"type": "string",
          "description": "The first of podIPs."}, "podIPs": {"type": "array", "items": {"$ref":
          "#/components/schemas/PodIP"}}}},
        "Pod": {"type": "object", "description": "A Kubernetes v1 Pod.", "required": ["metadata"], "properties": {
          "apiVersion": {"const": "v1"}, "kind": {"const": "Pod"}, "metadata": {"$ref":
          "#/components/schemas/ObjectMeta"}, "spec": {"$ref": "#/components/schemas/PodSpec"}, "status": {"$ref":
          "#/components/schemas/PodStatus"}, "attachment": {"$ref": "#/components/schemas/Attachment"}}},
        "Attachment": {"type": "object", "required": ["containerID"], "additionalProperties": false, "properties": {
          "containerID": {"type": "string"}, "ifName": {"type": "string", "default": "eth0"}, "nodeName": {"type":
          "string"}, "podUID": {"type": "string"}}},
        "Owner": {"type": "object", "required": ["kind", "name", "uid"], "properties": {"kind": {"type": "string",
          "enum": ["Service", "Pod", "Node"]}, "namespace": {"type": "string"}, "name": {"type": "string"}, "uid": {
          "type": "string"}}},
        "Released": {"type": "object", "required": ["owner"], "properties": {"ip": {"type": "string"}, "cidr": {
          "type": "string"}, "owner": {"$ref": "#/components/schemas/Owner"}}},
        "NodeAddressing": {"type": "object", "properties": {"name": {"type": "string"}, "podCIDRs": {"type":
          "array", "items": {"type": "string"}}, "gateways": {"type": "array", "items": {"type": "string"},
          "description": "In the order of podCIDRs."}}},
        "Pool": {"type": "object", "required": ["name", "capacity", "allocated", "available"], "properties": {
          "name": {"type": "string"}, "kind": {"type": "string", "enum": ["Service", "LoadBalancer", "NodeCIDR",
          "Pod", "NodePort"]}, "family": {"$ref": "#/components/schemas/Family"}, "cidr": {"type": "string"},
          "ports": {"type": "string"}, "capacity": {"$ref": "#/components/schemas/Count"}, "allocated": {"$ref":
          "#/components/schemas/Count"}, "available": {"$ref": "#/components/schemas/Count"}, "coolingDown": {
          "$ref": "#/components/schemas/Count"}, "percent": {"type": "number", "minimum": 0, "maximum": 100},
          "nodeMaskSize": {"type": "integer"}}},
        "PoolBlock": {"type": "object", "required": ["first", "allocated", "coolingDown", "reserved", "free"],
          "properties": {"first": {"type": "string"}, "allocated": {"$ref": "#/components/schemas/Count"},
          "coolingDown": {"$ref": "#/components/schemas/Count"}, "reserved": {"$ref": "#/components/schemas/Count"},
          "free": {"$ref": "#/components/schemas/Count"}}},
        "Count": {"type": "string", "pattern": "^[0-9]+$", "description":
          "A decimal of up to 39 digits: more than a number in JSON keeps."},
        "Cause": {"type": "object", "required": ["field", "reason", "message"], "properties": {"field": {"type":
          "string", "description": "A path such as spec.clusterIPs[0]."}, "reason": {"type": "string"}, "message": {
          "type": "string"}}},
        "ErrorData": {"type": "object", "description": "error.data of every error.", "required": ["status",
          "reason", "retryable"], "properties": {"status": {"type": "string", "description":
          "The name of gRPC's status code."}, "reason": {"type": "string"}, "retryable": {"type": "boolean"},
          "family": {"$ref": "#/components/schemas/Family"}, "cidr": {"type": "string", "description":
          "The range that is full."}, "ports": {"type": "string", "description":
          "The range of node ports that is full."}, "causes": {"type": "array", "items": {"$ref":
          "#/components/schemas/Cause"}, "description": "Of INVALID_ARGUMENT: every fault."}}}
        }
        """
}
