"""Quadratics that share one matrix, plus weights times sizes of entries, in C++: a start for the splitting.

Torch, and a C++ compiler where there is one; copied into generated files by name.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from ebdsl.runtime.compiling import shared_library


def straight_entries(
    matrix: Tensor,
    weight: Tensor | float,
    low: Tensor | float,
    high: Tensor | float,
    linear: Tensor,
    start: Tensor,
    goal: Tensor,
) -> Tensor:
    """About the minimum of ``½ x' matrix x + linear' x + Σ weight |x|`` on ``low <= x <= high`` for each row.

    ``matrix`` ``(n, n)`` is positive semidefinite; ``weight >= 0``, ``low`` and ``high`` are numbers or ``(n,)``;
    ``linear`` and ``start`` ``(B, n)``. The largest entry of the least subgradient is at most ``goal`` ``(B,)``
    unless many entries are free, where other ways are quicker: the caller has to look. ``start`` itself comes back
    where C++ does not serve: on a GPU, in other types than single and double, without a compiler, and where something
    is not finite.
    """
    count, n = start.shape
    library = None
    if start.device.type == "cpu" and start.dtype in (torch.float32, torch.float64) and start.numel():
        library = shared_library(straight_entries_source())
    if library is None:
        return start
    most = torch.finfo(start.dtype).max
    given = torch.stack([torch.as_tensor(x, dtype=start.dtype).expand(n) for x in (weight, low, high)])
    if not bool((matrix.sum() + linear.sum() + start.sum() + given[0].sum()).isfinite()):
        return start
    shared = (matrix.contiguous(), given.clamp(-most, most))
    rows = (linear.contiguous(), goal.to(start.dtype).expand(count).contiguous())
    answer = start.clone(memory_format=torch.contiguous_format)
    solve = library.single if start.dtype == torch.float32 else library.twice
    places = [ctypes.c_void_p(x.data_ptr()) for x in (*shared, *rows, answer)]
    solve(*map(ctypes.c_int64, (count, n, torch.get_num_threads())), *places)
    return answer


def straight_entries_source() -> str:
    """The C++ of :func:`straight_entries`.

    Greedy coordinate descent (Li & Osher 2009) until the set of free entries, those that are neither 0 nor at a bound,
    has stood still; then the linear system of that set, whose solution is taken up to where entries change pieces, and
    again for as long as some do. A step never raises the energy, as in feature-sign search (Lee, Battle, Raina & Ng
    2006). The slope is anew from the entries after each solve, so that nothing adds up.
    """
    return r"""
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

// cubes of the sizes of systems, in squares of the number of entries: of one, above which splitting is quicker; of all
constexpr double DENSE = 2, BUDGET = 60;
constexpr int64_t FEW = 128;  // entries below which systems are quick whatever their number
constexpr double SHARE = 0.85;  // of the steepest step, from which on another is taken in the same pass
constexpr int64_t LANES = 16;  // so that a reduction is one vector's
constexpr int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }
template <class T> using Place = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// everything is padded to whole vectors by entries that stay at 0
template <class T> struct Problem {
    int64_t n, real;
    std::vector<T> matrix, weight, low, high, inverse, root;  // the last two: of the diagonal

    Problem(int64_t count, const T *m, const T *w, const T *lo, const T *hi)
        : n(whole(count)), real(count), matrix(n * n), weight(n), low(n), high(n), inverse(n),
          root(n) {
        for (int64_t i = 0; i < count; ++i) {
            std::copy(m + i * count, m + (i + 1) * count, &matrix[i * n]);
            const T bend = m[i * count + i];
            inverse[i] = bend > 0 ? 1 / bend : 0;  // an entry that bends nothing stays
            root[i] = std::sqrt(std::max(bend, T(0)));
        }
        std::copy(w, w + count, weight.begin());
        std::copy(lo, lo + count, low.begin());
        std::copy(hi, hi + count, high.begin());
    }
};

template <class T> struct Solver {
    double spent;  // for this row
    static constexpr T EPS = std::numeric_limits<T>::epsilon();
    const Problem<T> &p;
    const int64_t n;
    const double square;
    const int64_t room;
    std::vector<T> linear, x, slope, block, right, next, next_slope;
    std::vector<int64_t> at;

    explicit Solver(const Problem<T> &problem)
        : p(problem), n(problem.n), square(std::pow(std::max(n, FEW), 2)), room(std::cbrt(DENSE * square)), linear(n),
          x(n), slope(n), right(n), next(n), next_slope(n), at(n) {}

    void slope_at(const std::vector<T> &point, std::vector<T> &out) const {
        std::copy(linear.begin(), linear.end(), out.begin());
        for (int64_t i = 0; i < n; ++i)
            if (point[i] != 0) add_row(point[i], i, out.data());
    }

    void add_row(T by, int64_t i, T *out) const {
        const T *row = &p.matrix[i * n];
        for (int64_t k = 0; k < n; ++k) out[k] += by * row[k];
    }

    T energy(const std::vector<T> &point, const std::vector<T> &slopes) const {
        T sum = 0;
        for (int64_t i = 0; i < n; ++i)
            sum += T(0.5) * point[i] * (slopes[i] + linear[i]) + p.weight[i] * std::abs(point[i]);
        return sum;
    }

    // where entry i goes by itself
    static T best(T x, T slope, T inverse, T weight, T low, T high) {
        const T v = x - slope * inverse, t = weight * inverse;
        const T back = v < -t ? -t : v > t ? t : v, to = v - back;
        return to < low ? low : to > high ? high : to;
    }

    // inside of a straight piece; without a weight there is no kink at 0
    bool free(int64_t i) const {
        return (x[i] != 0 || (p.weight[i] == 0 && p.inverse[i] > 0)) && x[i] > p.low[i] && x[i] < p.high[i];
    }

    // the largest entry of the smallest subgradient
    T residual() const {
        T most[LANES] = {};
        const T *at = x.data(), *slopes = slope.data(), *weight = p.weight.data();
        const T *low = p.low.data(), *high = p.high.data();
        for (int64_t first = 0; first < n; first += LANES)
            for (int64_t j = 0; j < LANES; ++j) {
                const int64_t i = first + j;
                const T w = weight[i], s = slopes[i], size = at[i];
                const T up = size < high[i] ? -s - (size >= 0 ? w : -w) : 0;
                const T down = size > low[i] ? s + (size > 0 ? w : -w) : 0;
                const T here = up > down ? up : down;
                most[j] = here > most[j] ? here : most[j];
            }
        return *std::max_element(most, most + LANES);
    }

    // for each lane the entry whose own minimum lowers the energy most, and by what in units of the root
    void steepest(T *most, Place<T> *place) const {
        std::fill(most, most + LANES, T(0));
        std::fill(place, place + LANES, Place<T>(0));
        const T *at = x.data(), *slopes = slope.data(), *inverse = p.inverse.data(), *root = p.root.data();
        const T *weight = p.weight.data(), *low = p.low.data(), *high = p.high.data();
        for (int64_t first = 0; first < n; first += LANES)
            for (int64_t j = 0; j < LANES; ++j) {
                const int64_t i = first + j;
                const T to = best(at[i], slopes[i], inverse[i], weight[i], low[i], high[i]);
                const T move = to - at[i], gain = (move < 0 ? -move : move) * root[i];
                place[j] = gain > most[j] ? Place<T>(i) : place[j];
                most[j] = gain > most[j] ? gain : most[j];
            }
    }

    // steps in the steepest entries until the free ones have stood still for some; at most so many, and no more than
    // so many free ones
    void descend(int64_t most, int64_t still, int64_t room) {
        T gain[LANES];
        Place<T> place[LANES];
        int64_t same = 0, held = 0;
        for (int64_t i = 0; i < n; ++i) held += free(i);
        for (int64_t count = 0; count < most && same < still && held <= room;) {
            steepest(gain, place);
            const T top = *std::max_element(gain, gain + LANES);
            if (!(top > 0)) return;
            for (int64_t j = 0; j < LANES; ++j) {
                if (gain[j] < SHARE * top) continue;
                const int64_t i = place[j];
                const T to = best(x[i], slope[i], p.inverse[i], p.weight[i], p.low[i], p.high[i]);
                const bool was = free(i);
                add_row(to - x[i], i, slope.data());
                x[i] = to;
                held += free(i) - was;
                same = was && free(i) ? same + 1 : 0;
                ++count;
            }
        }
    }

    // Cholesky of the block of the free entries, and its solution in `right`; false where it is singular. Rows begin at
    // whole vectors, and so do loops: what they leave below the diagonal is not read
    bool solve(int64_t k, T ridge) {
        const int64_t wide = whole(k);
        if (int64_t(block.size()) < wide * (wide + 1)) block.resize(wide * (wide + 1));
        T *a = block.data() + (64 - reinterpret_cast<uintptr_t>(block.data()) % 64) % 64 / sizeof(T);
        for (int64_t r = 0; r < k; ++r) {
            const T *row = &p.matrix[at[r] * n];
            for (int64_t c = r; c < k; ++c) a[r * wide + c] = row[at[c]];
            for (int64_t c = k; c < wide; ++c) a[r * wide + c] = 0;
            a[r * wide + r] *= 1 + ridge;
        }
        for (int64_t r = 0; r < k; ++r) {  // rows of the upper factor; four of them leave the rest at once
            T *mine = a + r * wide;
            const int64_t first = r / 4 * 4;
            for (int64_t q = first; q < r; ++q) subtract(mine, a[q * wide + r], a + q * wide, r, wide);
            if (!(mine[r] > 4 * k * EPS * p.matrix[at[r] * n + at[r]])) return false;
            const T scale = 1 / std::sqrt(mine[r]);
            for (int64_t c = r / LANES * LANES; c < wide; ++c) mine[c] *= scale;
            if (r % 4 == 3)
                for (int64_t s = r + 1; s < k; ++s) {
                    const T *f = a + first * wide, *f1 = f + wide, *f2 = f1 + wide, *f3 = f2 + wide;
                    const T b = f[s], b1 = f1[s], b2 = f2[s], b3 = f3[s];
                    T *__restrict__ other = a + s * wide;
                    for (int64_t c = s / LANES * LANES; c < wide; c += LANES)
                        for (int64_t j = c; j < c + LANES; ++j)
                            other[j] -= b * f[j] + b1 * f1[j] + b2 * f2[j] + b3 * f3[j];
                }
        }
        for (int64_t r = 0; r < k; ++r) {
            right[r] /= a[r * wide + r];
            for (int64_t c = r + 1; c < k; ++c) right[c] -= right[r] * a[r * wide + c];
        }
        for (int64_t r = k; r-- > 0;) {
            T sum = right[r];
            for (int64_t c = r + 1; c < k; ++c) sum -= a[r * wide + c] * right[c];
            right[r] = sum / a[r * wide + r];
        }
        return true;
    }

    static void subtract(T *__restrict__ row, T by, const T *other, int64_t from, int64_t wide) {
        for (int64_t c = from / LANES * LANES; c < wide; c += LANES)
            for (int64_t j = c; j < c + LANES; ++j) row[j] -= by * other[j];
    }

    // the minimum on the pieces that x is on, up to where entries change pieces; whether some did, or -1 if it failed
    int finish() {
        int64_t k = 0;
        for (int64_t i = 0; i < n; ++i)
            if (free(i)) {
                at[k] = i;
                right[k] = -(slope[i] + std::copysign(p.weight[i], x[i]));
                ++k;
            }
        if (!k) return 0;
        spent += double(k) * k * k;
        if (k > room || spent > BUDGET * square) return -1;
        // of a singular block a small ridge leaves a way down, along which some entry ends
        if (!solve(k, 0) && !solve(k, std::sqrt(EPS))) return -1;
        const T before = energy(x, slope);
        T reach = 1;
        bool changed = false;
        std::copy(x.begin(), x.end(), next.begin());
        for (int64_t r = 0; r < k; ++r) {
            const int64_t i = at[r];
            const T low = p.weight[i] > 0 && x[i] > 0 ? std::max(p.low[i], T(0)) : p.low[i];
            const T high = p.weight[i] > 0 && x[i] < 0 ? std::min(p.high[i], T(0)) : p.high[i];
            const T to = x[i] + right[r];
            next[i] = std::min(std::max(to, low), high);
            if (to <= low || to >= high) {
                changed = true;
                reach = std::min(reach, (next[i] - x[i]) / right[r]);
            }
        }
        slope_at(next, next_slope);
        if (changed && !(energy(next, next_slope) <= before)) {
            for (int64_t r = 0; r < k; ++r) {  // no further than the first change
                const int64_t i = at[r];
                const T edge = next[i], by = reach * right[r];
                next[i] = std::abs(edge - x[i]) <= std::abs(by) * (1 + 8 * EPS) ? edge : x[i] + by;
            }
            slope_at(next, next_slope);
        }
        x.swap(next);
        slope.swap(next_slope);
        return changed;
    }

    void run(const T *line, T goal, T *point) {
        std::copy(line, line + p.real, linear.begin());
        for (int64_t i = 0; i < p.real; ++i) x[i] = std::min(std::max(point[i], p.low[i]), p.high[i]);
        slope_at(x, slope);
        spent = 0;
        for (int64_t round = 0; round < 50 && residual() > goal; ++round) {
            descend(round ? n : 4 * n, round ? 4 : 8, room);
            int changed = 1;
            for (int64_t k = 0; changed > 0 && k < 20; ++k) changed = finish();
            if (changed < 0) break;
        }
        std::copy(x.begin(), x.begin() + p.real, point);
    }
};

template <class T>
void all(int64_t count, int64_t n, int64_t threads, const T *matrix, const T *given, const T *linear, const T *goal,
         T *x) {
    const Problem<T> p(n, matrix, given, given + n, given + 2 * n);
    std::atomic<int64_t> next{0};
    auto work = [&] {
        Solver<T> solver(p);
        for (int64_t from; (from = next.fetch_add(16)) < count;)
            for (int64_t row = from; row < std::min(from + 16, count); ++row)
                solver.run(linear + row * n, goal[row], x + row * n);
    };
    std::vector<std::thread> others;
    for (int64_t k = 1; k < std::min(threads, (count + 15) / 16); ++k) others.emplace_back(work);
    work();
    for (auto &t : others) t.join();
}

}  // namespace

extern "C" void single(int64_t count, int64_t n, int64_t threads, const float *matrix, const float *given,
                       const float *linear, const float *goal, float *x) {
    all<float>(count, n, threads, matrix, given, linear, goal, x);
}

extern "C" void twice(int64_t count, int64_t n, int64_t threads, const double *matrix, const double *given,
                      const double *linear, const double *goal, double *x) {
    all<double>(count, n, threads, matrix, given, linear, goal, x);
}
"""
