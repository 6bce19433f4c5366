//! Statements with a fixed text.

/// Declares a statement whose text never changes, so that each connection prepares it once. `?` stands for the next value.
macro_rules! statement {
    (
        $name:ident<$life:lifetime>($($value:ident: $type:ty as $sql:ty),+ $(,)?) -> $row:ty, $text:expr
    ) => {
        struct $name<$life> {
            $($value: $type,)+
        }

        impl diesel::query_builder::QueryId for $name<'_> {
            type QueryId = $name<'static>;

            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl diesel::query_builder::Query for $name<'_> {
            type SqlType = $row;
        }

        impl<C> diesel::RunQueryDsl<C> for $name<'_> {}

        impl diesel::query_builder::QueryFragment<super::Backend> for $name<'_> {
            fn walk_ast<'b>(
                &'b self,
                mut out: diesel::query_builder::AstPass<'_, 'b, super::Backend>,
            ) -> diesel::QueryResult<()> {
                let mut parts = $text.split('?');
                $(
                    out.push_sql(parts.next().unwrap_or_default());
                    out.push_bind_param::<$sql, _>(&self.$value)?;
                )+
                out.push_sql(parts.next().unwrap_or_default());
                Ok(())
            }
        }
    };
}

pub(crate) use statement;
