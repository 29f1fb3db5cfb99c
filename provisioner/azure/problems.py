"""What a person can meet before the first request: no credential, a wrong one, no way there."""

from __future__ import annotations

from typing import Final

from provisioner.errors import Who, define

NO_CREDENTIAL: Final = define(
    "azure.no-credential",
    "no Azure credential was found",
    "None of the places where azure-identity looks for a credential (environment, workload "
    "identity, managed identity, Azure CLI and others) gave one.",
    Who.OPERATOR,
)
NO_FEDERATION: Final = define(
    "azure.no-federation",
    "no federated credential for this pipeline",
    "Microsoft Entra knows the application, but nobody told it to trust this issuer and subject: "
    "the repository, branch or environment of a GitHub job, or a service connection.",
    Who.OPERATOR,
)
WRONG_CREDENTIAL: Final = define(
    "azure.wrong-credential",
    "Microsoft Entra refused the credential",
    "A credential was found, but Entra gave no token for it: a wrong or expired secret, an unknown "
    "application, or a federated token that does not match.",
    Who.OPERATOR,
)
UNKNOWN_TENANT: Final = define(
    "azure.unknown-tenant",
    "Microsoft Entra does not know the tenant",
    "The tenant id of the credential names no directory of this cloud.",
    Who.OPERATOR,
)
CLOCK_SKEW: Final = define(
    "azure.clock-skew",
    "this machine's clock is wrong",
    "Tokens and assertions carry times; one was refused because this machine's clock is ahead of "
    "or behind the service's.",
    Who.OPERATOR,
)
UNREACHABLE: Final = define(
    "azure.unreachable",
    "Azure cannot be reached",
    "No connection to the login service or to Azure Resource Manager could be made.",
    Who.OPERATOR,
)
UNTRUSTED: Final = define(
    "azure.untrusted-certificate",
    "the server's certificate is not trusted",
    "TLS is always verified. The certificate that was shown is not signed by an authority that is "
    "trusted here, or is for another host.",
    Who.OPERATOR,
)
BAD_ADDRESS: Final = define(
    "azure.bad-address",
    "an address of Azure cannot be used",
    "The addresses of Azure Resource Manager and of the login service must start with https://: "
    "a token is never sent over an open connection.",
    Who.OPERATOR,
)
FOREIGN_LOGIN: Final = define(
    "azure.foreign-login",
    "another's Azure would get Microsoft's token",
    "The address of Azure Resource Manager is not Microsoft's, but the login service is. A token "
    "that opens the real Azure is not sent to another host because that host asked for it.",
    Who.OPERATOR,
)
BAD_CA_BUNDLE: Final = define(
    "azure.bad-ca-bundle",
    "the CA bundle cannot be used",
    "The file of certificate authorities does not exist, is not readable, or is not PEM.",
    Who.OPERATOR,
)
AZ_ML_FILE: Final = define(
    "import.az-ml-file",
    "a file that `az ml` would not take",
    "azure-ai-ml's own loader refuses the file, or it describes something else than an endpoint, a "
    "deployment or a Marketplace subscription.",
    Who.OPERATOR,
)
AZ_ML_LEFT_OUT: Final = define(
    "import.az-ml-left-out",
    "part of an `az ml` file has no place in a manifest",
    "Manifests deploy models of registries with keys. What goes beyond that is named and left out.",
    Who.OPERATOR,
)
