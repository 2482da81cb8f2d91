//! Powers of field elements.

use super::field::{Fe, mul, operand, square};

vectorised! {
    pub(super) fn product(a: &Fe, b: &Fe) -> Fe {
        operand(&mul!(a, b))
    }

    /// a^(2^times), an operand as `a` is.
    fn square_times(a: &Fe, times: u32) -> Fe {
        (0..times).fold(*a, |a, _| operand(&square!(a)))
    }

    /// 1 / a = a^(p-2), and 0 for 0.
    pub(super) fn invert(a: &Fe) -> Fe {
        // `a2` to `a11` are powers; `pN` is a^(2^N - 1). 254 squarings and 11 products, as in `curve25519`.
        let a2 = square_times(a, 1);
        let a9 = product(&square_times(&a2, 2), a);
        let a11 = product(&a9, &a2);
        let p5 = product(&square_times(&a11, 1), &a9);
        let p10 = product(&square_times(&p5, 5), &p5);
        let p20 = product(&square_times(&p10, 10), &p10);
        let p40 = product(&square_times(&p20, 20), &p20);
        let p50 = product(&square_times(&p40, 10), &p10);
        let p100 = product(&square_times(&p50, 50), &p50);
        let p200 = product(&square_times(&p100, 100), &p100);
        let p250 = product(&square_times(&p200, 50), &p50);
        product(&square_times(&p250, 5), &a11)
    }
}
