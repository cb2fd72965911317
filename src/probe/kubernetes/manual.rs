//! The manual page of `kubernetes`.

pub(super) const PAGE: &str = r#"
Asks the API of a Kubernetes cluster: about pods, a deployment, stateful set, daemon set or job, about any object, or
about the warnings that the cluster reports.

```yaml
sources:
  kubernetes: { context: staging, namespace: shop }
sections:
  - name: In the cluster
    steps:
      - name: All pods are ready and none restarts
        kubernetes: { pods: "app=web,variant=test" }
        expect: { ready: all, count: ">= 1", restarts: "<= 1", crash_looping: none }
      - name: The rollout completes
        kubernetes: { deployment: web }
        expect: { updated: all, available: all, image: { ends_with: ":1.2.3" } }
        eventually: { within: 10m, every: 5s }
      - name: The rollout is complete as kubectl judges
        kubernetes: { statefulset: db, namespace: data }
        expect: { rolled_out: true }
      - name: The migration has run
        kubernetes: { job: migrate }
        expect: { complete: true, failed: 0 }
      - name: Every container can be restarted and taken out of service
        kubernetes: { deployment: web }
        expect: { probes: { liveness: all, readiness: all } }
      - name: The certificate is issued
        kubernetes: { object: certificates.cert-manager.io/web }
        expect: { conditions: { Ready: true }, json: { $.spec.secretName: web-tls } }
      - name: Nothing is wrong with it, as the cluster sees it
        kubernetes: { events: deployment/web, since: 15m }
        expect: { warnings: 0 }
```

**The cluster** is a source. `context` is one of the kubeconfig, which is `kubeconfig` when that is given, else found and
merged as kubectl does it (`$KUBECONFIG`, `~/.kube/config`); without a `context` its current one is taken, and where
there is no kubeconfig the account of the pod. `in_cluster: true` insists on that account. Tokens, token files, client
certificates, basic authentication, impersonation, `tls-server-name` and `proxy-url` of a kubeconfig are respected. A
command that it names for credentials (`exec`) is run within the time of the look, with nobody to answer it, and again
when its credentials expire or are refused. For a cluster without a kubeconfig there are `url`, `bearer`, `headers`,
`basic` and `tls: { ca, cert, insecure }`, as for any source. Proxies of the environment are not used. A step whose source
names a `kubeconfig` counts as one that runs commands: `--read-only` refuses it, as that file may have come with the
checklist; a kubeconfig that the environment names is the user's own.

```yaml
sources:
  kubernetes: { in_cluster: true }
  eu:         { kind: kubernetes, kubeconfig: ~/.kube/eu, context: eu-prod, namespace: shop, timeout: 5s }
  proxied:    { kind: kubernetes, url: "http://localhost:8001" }
sections:
  - name: Europe
    steps:
      - name: The web pods are ready
        kubernetes: { source: eu, pods: deployment/web }
        expect: { ready: all }
```

**Pods** are those that a label selector finds, those of a workload (`pods: deployment/web`), one (`pods: pod/web-0`) or all
of the namespace (`pods: "*"`); `fields` narrows them down by a field selector. Pods that are being deleted are not
counted. A pod is ready when its condition Ready is True. `restarts` is the sum over the containers of a pod, sidecars
among them, of the pod that has most of them; `restarts.total` that of all pods. `restarted` counts the pods of which a
container ended since the run began. A pod is `crash_looping` when a container waits in CrashLoopBackOff, or when it was
restarted three times or more, ended with a failure last, and has not run for ten minutes since: the time after which
the kubelet forgets. `labels` is *missing* when one pod lacks the label. **No pods** are never a pass: `count` is 0, and
everything else has no data.

**Workloads.** `updated` counts the pods of the newest template, of as many as are desired, or as there are while old ones have
yet to end; `available` and `ready` count pods of any template, of those that are desired. So `updated: all,
available: all` is what `rolled_out: true` says of a deployment. As long as the controller has not seen the newest
specification (`generation_observed` is false), what it counted says nothing of it, and these have no data. A workload
that is to have no pods has no data either, and is not `rolled_out`, although kubectl would call it so.

`rolled_out` follows `kubectl rollout status`. Of a *deployment*: the newest specification was observed, `updatedReplicas` are
as many as are desired, there are no others (`replicas`), and all of them are available. Of a *stateful set*: the same is
observed, all are ready, and those beyond the `partition` are updated, or without `rollingUpdate` the current revision is
the newest. Of a *daemon set*: all that are scheduled are updated and available. A deployment beyond its progress deadline
has failed: false, and the report says so. For other strategies than RollingUpdate kubectl judges nothing: no data.

`image` is that of the only container, of `container`, or of the one that the annotation
`kubectl.kubernetes.io/default-container` names; of several it has no data. `images` are those of all. What a running pod
was started with is told by `pods`.

**Any object.** The kind may be given by kind, plural, singular or short name, with the group behind a dot as kubectl has it
(`certificates.cert-manager.io/web`), or with `api_version: cert-manager.io/v1`; it is looked up in the cluster's own
index. `json` takes JSONPath (RFC 9535), of workloads too. `conditions` are true or false; Unknown is no data, and one that
is not there is *missing*. The values of a Secret are masked: that a key exists can be asked, what it holds cannot.

**Events.** `warnings` counts the events of the type Warning that were seen last within `since` (1h, or `run_start`), however
often each was repeated. With `deployment/web` those about its replica sets and pods belong to it, told by their names; `"*"`
means all of the namespace. Clusters keep events for an hour unless they are told otherwise.

**Failed, or not looked at.** An object or a workload that does not exist is *missing*, so that what is expected of it fails;
`exists: false` asks for that. A namespace that does not exist, a kind that the cluster does not have, a context, user or
file that is missing, credentials that are refused, a permission that is lacking (the verb, the resource and the
namespace are named), an API that does not answer, too late, or with something else: nothing is known, an *error*. Lists are
read to their end, in pages; one that the server forgets meanwhile (410) is begun anew. When the server asks to wait
(429 or 503 with Retry-After) it is asked again after that, up to three times within `timeout`.

What a role needs: `get` on `deployments`, `statefulsets`, `daemonsets` (apps), `jobs` (batch) and `namespaces`, `list` on
`pods` and `events`, and `get` on whatever `object` names.

API: <https://kubernetes.io/docs/reference/using-api/api-concepts/>.
"#;
