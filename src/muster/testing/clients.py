"""Ready clients of the packages that people use: `kubernetes`, `kr8s`, `lightkube`.

None of them is needed to run Muster: each is imported when it is asked for.
"""
from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, NamedTuple


class ClientFiles(NamedTuple):
    ca: Path
    certificate: Path
    key: Path


def kubernetes_configuration(url: str, files: ClientFiles) -> Any:
    configuration = _package("kubernetes.client").Configuration()
    configuration.host = url
    # Files of ours: the package would write those of a kubeconfig to temporary ones that outlive the cluster.
    configuration.ssl_ca_cert = str(files.ca)
    configuration.cert_file, configuration.key_file = str(files.certificate), str(files.key)
    return configuration


def kubernetes_client(configuration: Any) -> Any:
    return _package("kubernetes.client").ApiClient(configuration)


def kr8s_api(kubeconfig: Path) -> Any:
    return _package("kr8s").api(kubeconfig=str(kubeconfig))


def lightkube_client(kubeconfig: Path, **more: Any) -> Any:
    lightkube = _package("lightkube")
    return lightkube.Client(config=lightkube.KubeConfig.from_file(str(kubeconfig)), **more)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise ModuleNotFoundError(f"the package {package} is not installed: pip install {package}",
                                  name=error.name) from error
