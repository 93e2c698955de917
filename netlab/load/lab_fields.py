"""The fields of a training lab's lab.yaml, spelled as in fields.py."""

from __future__ import annotations

LAB: dict[str, dict[str, str]] = {
    "Lab": {"apiVersion!": "string", "kind!": "string", "metadata!": "ObjectMeta", "spec!": "LabSpec"},
    "LabSpec": {
        "title!": "LabWords",
        "minutes!": "Positive",
        "exam": "boolean",
        "modes": "[ProxyMode]",
        "makes": "[string]",
        "faults": "[LabFault]",
        "draw": "LabDraw",
        "requirements!": "[LabRequirement]",
    },
    "LabWords": {"en!": "string", "ko!": "string"},
    "LabFault": {"fault!": "string", "victim!": "string", "modes": "[ProxyMode]"},
    "LabDraw": {"count": "Positive", "from!": "[LabFault]"},
    "LabRequirement": {
        "name!": "DnsLabel",
        "says!": "LabWords",
        "modes": "[ProxyMode]",
        "packets": "[LabPackets]",
        "run": "[LabRun]",
        "objects": "[LabObject]",
        "proxies": "[LabProxy]",
        "holders": "[LabHolders]",
        "answer": "LabAnswer",
    },
    "LabPackets": {
        "from!": "string",
        "to!": "string",
        "reaches": "[string]",
        "verdict": "Verdict",
        "sees": "[string]",
        "samePod": "boolean",
        "shares": "{number}",
        "size": "Positive",
    },
    "LabRun": {"in!": "string", "command!": "[string]", "status": "Count", "prints": "string"},
    "LabObject": {"kind!": "string", "name!": "string", "namespace": "DnsLabel", "where": "{any}", "absent": "boolean"},
    "LabProxy": {"node!": "string", "running": "boolean", "mode": "ProxyMode"},
    "LabHolders": {"of!": "string", "by": "[string]"},
    "LabAnswer": {
        "key!": "DnsLabel",
        "holders": "string",
        "becomes": "LabWay",
        "seen": "LabWay",
        "prints": "LabReading",
    },
    "LabWay": {"from!": "string", "to!": "string"},
    "LabReading": {"in!": "string", "command!": "[string]"},
}
