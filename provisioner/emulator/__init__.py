"""An emulator of the Azure that deploying models takes, served over TLS on loopback.

Emulated: Entra sign-in of service principals; ARM's subscriptions, locations, resource groups,
providers, resource lists, tags, locks; effective permissions, role assignments and definitions;
Machine Learning workspaces (reading, updating, tagging), marketplaceSubscriptions,
serverlessEndpoints, onlineEndpoints with managed deployments, usages, quotas, VM sizes,
long-running operations; registries and their models; MarketplaceOrdering agreements; the deployed
models' own API; lookups of principals in the directory.

Not emulated: creating workspaces; jobs, computes, data, environments, components, batch endpoints,
connections; Kubernetes compute; template deployments; management groups; groups, conditions and
privileged identity; users' sign-in; managed identities' tokens; networking; cost. Such calls fail
with an error that says so.

It imports nothing from the rest of the project, and keeps to what it can know: AZURE.md's facts
and the published OpenAPI files.
"""
