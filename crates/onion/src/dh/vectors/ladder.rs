//! X25519 on one point a lane, each with a scalar of its own or all with the same.

use super::field::{
    Fe, Vector, add, add_a24, bit, mul, one, operand, select, square, sub, unequal,
};

vectorised! {
    /// 2 (x : z), from the operands x + z and x - z; products.
    fn double(plus: &Fe, minus: &Fe) -> (Fe, Fe) {
        let aa = square!(plus);
        let bb = square!(minus);
        let e = operand(&sub(&aa, &bb));
        let w = operand(&add_a24(&aa, &e));
        (mul!(operand(&aa), operand(&bb)), mul!(e, w))
    }

    /// k times the points of these u-coordinates, as projective (x : z), both operands.
    ///
    /// Scalars are clamped: bit 254 is set, bit 255 and bits 0 to 2 are not. Formulas: RFC 7748,
    /// section 5. The sum of the two running points is the same whichever is called first, so a step
    /// only has to choose which one it doubles: the one that came of doubling if this bit equals the
    /// bit before, else the one that came of adding.
    pub(super) fn ladder(k: &[Vector; 4], u: &Fe) -> (Fe, Fe) {
        let (mut x3, mut z3) = (*u, one());
        let (mut x2, mut z2) = double(&operand(&add(&x3, &z3)), &operand(&sub(&x3, &z3)));
        let mut before = bit(k, 254);
        for i in (3..254).rev() {
            let this = bit(k, i);
            let other = unequal(this, before);
            before = this;
            let a = operand(&add(&x2, &z2));
            let b = operand(&sub(&x2, &z2));
            let c = operand(&add(&x3, &z3));
            let d = operand(&sub(&x3, &z3));
            let da = mul!(d, a);
            let cb = mul!(c, b);
            let a = select(other, &a, &c);
            let b = select(other, &b, &d);
            let aa = square!(a);
            let bb = square!(b);
            x3 = square!(operand(&add(&da, &cb)));
            z3 = mul!(operand(&square!(operand(&sub(&da, &cb)))), u);
            let e = operand(&sub(&aa, &bb));
            let w = operand(&add_a24(&aa, &e));
            x2 = mul!(operand(&aa), operand(&bb));
            z2 = mul!(e, w);
        }
        let mut x = select(before, &x2, &x3);
        let mut z = select(before, &z2, &z3);
        // The scalar's last three bits are 0: doublings alone.
        for _ in 0..3 {
            (x, z) = double(&operand(&add(&x, &z)), &operand(&sub(&x, &z)));
        }
        (operand(&x), operand(&z))
    }
}
