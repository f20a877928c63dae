//! The three routes.

use std::sync::Arc;

use axum::extract::{Path, State};
use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanBuilder, SpanKind};

use super::Shop;
use super::backends::{Query, Record};
use super::failure::Failure;

const SELECT_ARTICLE: Query = Query {
    operation: "SELECT",
    table: "article",
    text: "SELECT name, price, stock FROM article WHERE id = $1",
};
const SELECT_CART: Query = Query {
    operation: "SELECT",
    table: "cart_line",
    text: "SELECT article_id, quantity FROM cart_line WHERE cart_id = $1",
};
const INSERT_ORDER: Query = Query {
    operation: "INSERT",
    table: "purchase",
    text: "INSERT INTO purchase (cart_id, total) VALUES ($1, $2) RETURNING id",
};
const SELECT_NEIGHBOURS: Query = Query {
    operation: "SELECT",
    table: "bought_together",
    text: "SELECT other_id, weight FROM bought_together WHERE article_id = $1 ORDER BY weight DESC LIMIT 32",
};

/// Whose cart it is makes no difference here.
const CART: u64 = 4_711;

/// An article: from the cache, or from the database and then into the cache.
pub(super) async fn catalog(State(shop): State<Arc<Shop>>, Path(id): Path<u64>) -> Result<String, Failure> {
    let article = article(&shop, id).await?;
    Ok(format!("article {id}: {article}\n"))
}

/// Buys what is in the cart.
pub(super) async fn checkout(State(shop): State<Arc<Shop>>) -> Result<String, Failure> {
    let cart = SpanBuilder::from_name("load cart").with_kind(SpanKind::Internal);
    let lines = shop
        .tracing
        .in_span(cart, async {
            shop.backends.database(SELECT_CART, CART).await?;
            articles(&shop, [3, 14, 159, 265, 358]).await
        })
        .await?;
    shop.backends.pay().await?;
    let order = shop.backends.database(INSERT_ORDER, CART).await?;
    Ok(format!("{lines} lines ordered: {order}\n"))
}

/// Articles that go with the one that is looked at.
pub(super) async fn recommend(State(shop): State<Arc<Shop>>) -> Result<String, Failure> {
    let candidates = shop.backends.slow_database(SELECT_NEIGHBOURS, 3).await?;
    let rank = SpanBuilder::from_name("rank")
        .with_kind(SpanKind::Internal)
        .with_attributes([
            KeyValue::new("shop.candidates", 32),
            KeyValue::new("shop.model", "bought-together-v7"),
        ]);
    shop.tracing
        .in_span(rank, async {
            let ranked = articles(&shop, [5, 35, 89, 79, 323, 846, 264, 338]).await?;
            Ok(format!("{ranked} of {candidates} recommended\n"))
        })
        .await
}

async fn articles<const N: usize>(shop: &Shop, ids: [u64; N]) -> Result<usize, Failure> {
    for id in ids {
        article(shop, id).await?;
    }
    Ok(N)
}

async fn article(shop: &Shop, id: u64) -> Result<Record, Failure> {
    if let Some(article) = shop.backends.cached(id).await? {
        return Ok(article);
    }
    let article = shop.backends.database(SELECT_ARTICLE, id).await?;
    shop.backends.cache(id, article).await?;
    Ok(article)
}
