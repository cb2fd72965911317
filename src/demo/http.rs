//! What the sample service answers.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::flaws::Flaws;
use super::{Shared, metrics};

/// How much longer `/api/orders` takes when the service is slow.
const SLOW: Duration = Duration::from_millis(400);

/// The largest body that is read.
const MAX_BODY: usize = 64 * 1024;

/// Answers until it is dropped, and ends all connections then.
pub(super) async fn serve(listener: TcpListener, shared: Shared) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others must give some back first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        let service = service_fn(move |request| answer(request, shared.clone()));
        let mut server = hyper::server::conn::http1::Builder::new();
        let server = server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        let connection = server.serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            // A client that leaves in the middle is nobody's fault here.
            let _ = connection.await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, shared: Shared) -> Result<Response<Full<Bytes>>, Infallible> {
    let begun = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    if path == "/api/orders" && shared.lock().flaws().slow {
        tokio::time::sleep(SLOW).await;
    }
    let (status, kind, body) = if path == "/admin/flaws" {
        admin(request, &shared).await
    } else if !matches!(method, Method::GET | Method::HEAD) {
        as_json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": "only GET is answered here" }))
    } else {
        page(&path, &shared)
    };
    if path != "/metrics" && path != "/admin/flaws" {
        shared.lock().count(known(&method), status.as_u16(), begun.elapsed().as_secs_f64());
    }
    let response = Response::builder().status(status).header("content-type", kind).body(Full::new(body.into()));
    Ok(response.unwrap_or_default())
}

/// Keeps made-up methods out of the metrics.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "OTHER",
    }
}

type Page = (StatusCode, &'static str, String);

fn as_json(status: StatusCode, body: &Value) -> Page {
    (status, "application/json", body.to_string())
}

fn page(path: &str, shared: &Shared) -> Page {
    let traffic = shared.lock();
    let version = traffic.version();
    match path {
        "/" => (StatusCode::OK, "text/plain; charset=utf-8", format!("orders {version}, a sample service\n")),
        "/health" if traffic.flaws().unhealthy => {
            as_json(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "degraded", "version": version }))
        }
        "/health" => as_json(StatusCode::OK, &json!({ "status": "ok", "version": version })),
        "/ready" => ready(traffic.flaws()),
        "/version" => as_json(StatusCode::OK, &json!({ "version": version, "commit": "9f2c1ab", "service": "orders" })),
        "/api/orders" => {
            let items =
                json!([{ "id": 1, "state": "paid" }, { "id": 2, "state": "sent" }, { "id": 3, "state": "paid" }]);
            as_json(StatusCode::OK, &json!({ "items": items, "total": 3 }))
        }
        "/metrics" => (StatusCode::OK, metrics::CONTENT_TYPE, metrics::page(&traffic)),
        _ => as_json(StatusCode::NOT_FOUND, &json!({ "error": "not found", "path": path })),
    }
}

fn ready(flaws: Flaws) -> Page {
    let (status, word, cache) = match flaws.cache_unset {
        true => {
            let error = "CACHE_URL is not set in /etc/orders/config.yaml";
            (StatusCode::SERVICE_UNAVAILABLE, "not ready", json!({ "status": "fail", "error": error }))
        }
        false => (StatusCode::OK, "ready", json!({ "status": "ok", "latency_ms": 1 })),
    };
    let checks = json!({
        "database": { "status": "ok", "latency_ms": 3 },
        "cache": cache,
        "queue": { "status": "ok", "latency_ms": 2 },
    });
    as_json(status, &json!({ "status": word, "checks": checks }))
}

/// Shows the flaws, and changes those that a `POST` names.
async fn admin(request: Request<Incoming>, shared: &Shared) -> Page {
    let bad = |error: String| as_json(StatusCode::BAD_REQUEST, &json!({ "error": error }));
    if request.method() == Method::POST {
        let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return bad(error.to_string()),
        };
        let mut traffic = shared.lock();
        match traffic.flaws().changed(&body) {
            Ok(flaws) => traffic.set_flaws(flaws, chrono::Utc::now()),
            Err(error) => return bad(error.to_string()),
        }
    }
    let flaws = shared.lock().flaws();
    as_json(StatusCode::OK, &serde_json::to_value(flaws).unwrap_or_default())
}
