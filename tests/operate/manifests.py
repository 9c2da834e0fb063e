"""Reads the Kubernetes manifests and says what a gate in them would run with, as JSON.

It fails where a manifest names a volume, key or label that is not there, or gives a container more
rights than it needs.
"""

import json
import sys

import yaml


def main(path):
    documents = [document for document in yaml.safe_load_all(open(path)) if document]
    kinds = {document["kind"]: document for document in documents}
    assert len(kinds) == len(documents), "one of each kind"
    for document in documents:
        assert document["apiVersion"] and document["metadata"]["name"] == "noticegate"
    gates = kinds["StatefulSet"]["spec"]
    labels = gates["template"]["metadata"]["labels"]
    for other in (gates["selector"]["matchLabels"], kinds["Service"]["spec"]["selector"],
                  kinds["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
                  kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]):
        assert other.items() <= labels.items(), other
    pod = gates["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["containers"]
    rights = container["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True and rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"]["drop"] == ["ALL"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in gates["volumeClaimTemplates"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == volumes, (mounts.keys(), volumes)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    for port in kinds["Service"]["spec"]["ports"]:
        assert port["targetPort"] in ports
    print(json.dumps({
        "config": kinds["ConfigMap"]["data"]["noticegate.toml"],
        "args": container["args"],
        "environment": [variable["name"] for variable in container["env"]],
        "ports": ports,
        "mounts": sorted(mounts.values()),
        "grace": pod["terminationGracePeriodSeconds"],
    }))


main(sys.argv[1])
