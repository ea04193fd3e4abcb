"""The Helm chart of Flyte, as far as it is used."""

CHART = {
    "": {
        *("nameOverride", "fullnameOverride", "commonLabels", "commonAnnotations"),
        *("flyte-core-components", "configuration", "clusterResourceTemplates", "deployment"),
        *("service", "ingress", "rbac", "serviceAccount", "flyteagent", "enabled_plugins"),
    },
    "flyte-core-components": {"admin", "propeller", "dataCatalog"},
    "flyte-core-components.admin": {
        *("disabled", "disableScheduler", "disableClusterResourceManager"),
        *("seedProjects", "seedProjectsWithDetails"),
    },
    "configuration": {
        *("database", "storage", "logging", "auth", "co-pilot", "agentService", "labels"),
        *("externalConfigMap", "externalSecretRef", "inline", "inlineConfigMap"),
        *("inlineSecretRef", "annotations"),
    },
    "configuration.database": {
        *("username", "password", "passwordPath", "host", "port", "dbname", "options"),
    },
    "configuration.storage": {
        *("metadataContainer", "userDataContainer", "provider", "providerConfig"),
    },
    "configuration.storage.providerConfig": {"s3", "gcs", "azure"},
    "configuration.storage.providerConfig.s3": {
        *("region", "disableSSL", "v2Signing", "endpoint", "authType", "accessKey", "secretKey"),
    },
    "configuration.inline": {"task_resources", "plugins", "storage", "cluster_resources"},
    "configuration.inline.task_resources": {"defaults", "limits"},
    "configuration.inline.task_resources.limits": {"cpu", "gpu", "memory", "ephemeralStorage"},
    "configuration.inline.task_resources.defaults": {"cpu", "gpu", "memory", "ephemeralStorage"},
    "configuration.inline.plugins": {"k8s"},
    "configuration.inline.plugins.k8s": {
        *("inject-finalizer", "default-env-vars", "default-env-from-secrets"),
        *("gpu-device-node-label", "resource-tolerations", "interruptible-tolerations"),
    },
    "configuration.inline.storage": {"cache"},
    "configuration.inline.storage.cache": {"max_size_mbs", "target_gc_percent"},
    "rbac": {"create", "labels", "annotations", "extraRules"},
    "enabled_plugins": {"tasks"},
    "enabled_plugins.tasks": {"task-plugins"},
    "enabled_plugins.tasks.task-plugins": {"enabled-plugins", "default-for-task-types"},
    "enabled_plugins.tasks.task-plugins.default-for-task-types": {
        *("container", "sidecar", "container_array", "pytorch"),
    },
}
"""What the chart flyte-binary 1.16 takes at the top, and below the keys that are set here.

A misspelt value is ignored by Helm. The chart leaves what is below `inline` to Flyte.
"""
