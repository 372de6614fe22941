"""Answers and golds by kind: right pairs, wrong ones, some that nothing here can decide, golds that equal themselves.

One pair per line, answer === gold. The kinds are those of school, contest, college and physics benchmarks.
"""

RIGHT = r"""
\cos{60^\circ} === \frac12
{30^\circ} === 30^{\circ}
\text{5} === 5
\mathrm{-12} === -12
\textbf{3.5} === 7/2
\text{1/2} === 0.5
\text{5 cm} === 5
\text{5}x === 5x
5 === \text{ 5 }
C(5,2) === 10
10 === C(5, 2)
2C(4,1) === 8
C(n,k) === \binom{n}{k}
{5 \choose 2} === 10
10 === {5\choose 2}
5 \choose 2 === 10
2{5 \choose 2} === 20
{n+1 \choose k} === \binom{n+1}{k}
\dbinom{5}{2} === 10
\tbinom52 === 10
\binom52 === 10
{}_5C_2 === 10
{}^{5}C_{2} === 10
_5C_2 === 10
e^{i\pi} === -1
-1 === e^{\pi i}
e^{i\pi} + 1 === 0
e^{2\pi i} === 1
e^{-i\pi/2} === -i
\exp(i\pi) === -1
e^{\frac{i\pi}{3}} === \frac{1}{2}+\frac{\sqrt3}{2}i
2e^{i\pi/4} === \sqrt2 + \sqrt2 i
e^{x+i\pi} === -e^x
\text{infinity} === \infty
\sin 30^\circ === \frac12
\cos{60°} === 0.5
\tan 45 \text{ degrees} === 1
2\sin(30^\circ) === 1
\sin 30^\circ === \sin(30^{\circ})
\sin 90^\circ === \sin\frac{\pi}{2}
101_2 === 101_{2}
101 === 101_2
101_{\text{two}} === 101_2
FF_{16} === ff_{16}
\log 6 === \log 2 + \log 3
\log_{10} 100 === 2
\log_3 9 === 2
\int_0^\infty e^{-x} dx === 1
\sum_{n=0}^{\infty} 2^{-n} === 2
5 out of 6 === 5 \text{ out of } 6
2 \text{ to } \frac12 === 2 to 0.5
2031-4-5 === 2031-04-05
\[5\] === 5
(B) 42. === B
(B) 42 === 42
\frac12\% === 0.005
\frac12\% === 0.5
50 percent === 0.5
50\% === \frac{1}{2}
50 per cent === 50
0.1\overline{6} === 1/6
0.1\dot{6} === \frac{1}{6}
0.(3) === 1/3
0.333... === \frac13
0.\overline{142857} === 1/7
9 (apples) === 9
9 === 9 (apples)
9 \text{ (apples)} === 9
2½ === 2.5
2 1/2 === \frac52
√(x+1) === \sqrt{x+1}
∛8 === 2
x³ === x^3
x⁻¹ === \frac1x
π/2 === \frac{\pi}{2}
(−∞, 3] === (-\infty, 3]
(-∞, 2)∪(3, ∞) === (-\infty,2) \cup (3,\infty)
５ === 5
50％ === 0.5
5; === 5
5! === 120
\boxed{7} === 7
1\,000 === 1000
12{,}345 === 12345
12,\!345 === 12345
$1,234.50 === 1234.5
x=3 === 3
3 === x=3
x = 1 \text{ or } x = 2 === 1, 2
x=1, x=2 === \{1,2\}
x_1=1, x_2=2 === 1,2
x=1, y=2 === (1,2)
y=2, x=1 === x=1, y=2
(x,y)=(1,2) === (1,2)
\{1,2\} === 2, 1
\{5\} === 5
2x+y=4 === y=4-2x
4 = 2x+y === 2x+y=4
x>2 === 2<x
2x>4 === x>2
-x < -2 === x > 2
1<x<2 === 2>x>1
(1,2) === 1<x<2
(2,\infty) === x>2
x \in (2,\infty) === x>2
\pm 2 === 2, -2
1 \pm \sqrt{3} === 1+\sqrt3, 1-\sqrt3
x = \pm 2 === x=2 \text{ or } x=-2
\begin{pmatrix}1\\2\end{pmatrix} === \begin{bmatrix}1\\2\end{bmatrix}
4-\mathrm{i} === 4-i
f(x)=2x+1 === 2x+1
f(x)=2x+1 === f(x)=1+2x
\sin^2 x+\cos^2 x === 1
\log_2 8 === 3
e^{i\pi} === e^{\pi i}
\frac{\sqrt{2}}{2} === \frac{1}{\sqrt{2}}
\sqrt{3+2\sqrt2} === 1+\sqrt2
5 million === 5000000
5 \text{ million} === 5 \times 10^6
3 \text{ pm} === 3 \text{ p.m.}
3 p.m. === 3 \text{ pm}
18 dollars === \$18
864 \mbox{ inches}^2 === 864
864 square inches === 864 \text{ in}^2
90° === 90^\circ
90 degrees === 90^{\circ}
no solution === \text{No solution}
(C) === C
c === C
Evelyn === \text{Evelyn}
6.63e-34 === 6.63 \times 10^{-34}
0.333333 === \frac13
3.141593 === \pi
(1+x)(1-x) === 1-x^2
n(n+1)/2 === \frac{n^2+n}{2}
k(x-1)(x-2) === k(x^2-3x+2)
a(b+c) === ab+ac
P(1+r)^2 === P + 2Pr + Pr^2
2^{n+1}-2 === 2(2^n-1)
\frac{n!}{2} === \frac12 n!
C_{5}^{2} === C_5^2
\{x \mid x>2\} === \{x|x>2\}
\{x|x>2\} === \{ x | x > 2 \}
y = 2x === 2x = y
\frac{dy}{dx} = 2x === 2x
AB = 5 === 5
\angle ABC = 60^\circ === 60
\text{Area} = 12 === 12
1:2 === 1:2
\frac{1}{2} : 1 === \frac12:1
2^3\cdot 3 === 24
3\mathbf{i}+4\mathbf{j} === 4\mathbf j + 3 \mathbf i
\emptyset === \{\}
\varnothing === \emptyset
\mathbb{R} === ℝ
\text{(A) and (C)} === \text{(A) and (C)}
A, C === C, A
10:30 === 10:30
x\ne 2 === 2 \ne x
-\frac{1}{2} === \frac{-1}{2}
\frac{1}{-2} === -1/2
|x-1| === |x-1|
\lfloor x \rfloor === \lfloor x \rfloor
\int_0^1 2x\,dx === 1
\sum_{k=1}^{3} k === 6
\binom{5}{2} === 10
\max(a,b) === \max(a,b)
2\sin x\cos x === \sin 2x
\frac{3}{4} \text{ cup} === 3/4
12 cm === 12 centimeters
3!! === 3
1:2 === 1 : 2
2:3 === \frac23
\dfrac{dy}{dx} === \frac{dy}{dx}
x = 5 === \{5\}
\{x \mid 1<x<2\} === (1,2)
1<x<2 === \{x|1<x<2\}
42 cm === 42
42cm === 42 \text{ cm}
42 \text{ sq. units} === 42
42 square feet === 42
\$42.00 === 42
42 dollars === $42
USD 42 === 42
€42 === 42 euros
42 people === 42
42\text{ students} === 42
42^{\text{nd}} === 42
x=-\frac{1}{2} === -0.5
(-\frac{1}{2}, 3) === (-0.5, 3)
( 1 , 2 ) === (1,2)
\left(1,2\right) === (1,2)
(1, 2) === \left( {1, 2} \right)
[1, 2] === [1,2]
1 + 2i === 2i+1
e^{-x}(x+1) === xe^{-x}+e^{-x}
\frac{e^x+e^{-x}}{2} === \cosh x
\sin(2x) === 2\sin(x)\cos(x)
\tan x === \frac{\sin x}{\cos x}
\frac12\ln 4 === \ln 2
\ln 8 === 3\ln 2
\log_{10} 1000 === 3
\log_3 81 === 4
\sqrt{12} === 2\sqrt{3}
\sqrt{50}+\sqrt{8} === 7\sqrt{2}
\frac{3+\sqrt{5}}{2} === \frac{1}{2}(3+\sqrt5)
\frac{6}{\sqrt{3}} === 2\sqrt3
3^{1/2} === \sqrt3
2^{1/3} === \sqrt[3]{2}
8^{2/3} === 4
(x-2)^2 === x^2-4x+4
-(x-2)(x+2) === 4-x^2
\frac{x+1}{x-1} === 1+\frac{2}{x-1}
3(x-1) === 3x-3
2xy === 2yx
x^{2}y === yx^2
\frac{a}{b} === a/b
\frac{a+b}{2} === (a+b)/2
0.5 === .5
+5 === 5
5.0 === 5
1e3 === 1000
10^3 === 1000
2^{10} === 1024
5 \cdot 10^3 === 5000
5*10^3 === 5000
5 x 10^3 === 5000
3.0 \times 10^{8} === 300000000
3/4 === 0.75
75\% === 0.75
75% === 75
75 === 75\%
0.75 === 75\%
12:30 === 12:30
\text{five} === \text{Five}
yes === Yes
True === true
\text{A} === A
\textbf{(A)} === A
\mathrm{(A)} === A
(a) === A
A. === A
A) === A
A) 5 cm === A
(A) \frac12 === A
(A)~12 === A
\text{(A) } 12 === A
A: 12 === A
\text{Sunday} === sunday
\text{ east} === East
\text{increasing} === Increasing.
no real solutions === No real solutions
\infty === +\infty
(-\infty,\infty) === (-\infty,+\infty)
x \in \mathbb{R} === \mathbb{R}
x\geq 3 === x \ge 3
3 \leq x === x\geq 3
x\geqslant 3 === x\ge3
[3,\infty) === x \ge 3
y=x^2 === x^2=y
2x-4y=6 === x-2y-3=0
y=\frac{1}{2}x+1 === x-2y+2=0
a=2, b=3 === b=3, a=2
a=2,b=3 === (2,3)
x=1 \text{ and } y=2 === x=1, y=2
x=2,3 === x=2 \text{ or } x=3
2 \text{ and } 3 === 2,3
2 \text{ or } 3 === \{2,3\}
\{2, 3\} === \{3,2\}
2,3 === \{2,3\}
-1 \pm \sqrt2 === -1+\sqrt2, -1-\sqrt2
\pm\frac{1}{2} === \frac12,-\frac12
x=\pm 3 === \pm 3
\begin{pmatrix}1&2\\3&4\end{pmatrix} === \begin{bmatrix}1 & 2 \\ 3 & \frac{8}{2}\end{bmatrix}
\left[\begin{array}{cc}1&2\\3&4\end{array}\right] === \begin{bmatrix}1&2\\3&4\end{bmatrix}
\langle 1,2,3\rangle === (1,2,3)
x^{2}+C === x^2+C
\frac{\pi}{4} === \pi/4
45^\circ === 45
180° === 180 degrees
π === \pi
2π === 2\pi
θ === \theta
√3/2 === \frac{\sqrt3}{2}
x₁ === x_1
10⁻³ === 0.001
x ≤ 5 === x\le 5
½x === \frac{x}{2}
3¾ === \frac{15}{4}
１２ === 12
(1，2) === (1,2)
−∞ === -\infty
{3} === 3
\boxed{3} === 3
$$3$$ === 3
**3** === 3
`3` === 3
3\, === 3
3\quad === 3
3\text{.} === 3
3 \text{ (mod 7)} === 3 \text{ (mod 7)}
\approx 3.14 === \approx 3.14
1\,234\,567 === 1234567
1{,}234 === 1,234
1,234.5 === 1234.5
\frac{1}{2} \text{ mile} === 0.5
\text{about } 5 === \text{about } 5
5 - 3i === 5-3i
f^{-1}(x)=\frac{x-1}{2} === \frac{x-1}{2}
\text{The area is } 12 === \text{The area is } 12
n=12 === 12
N = 12 \text{ apples} === 12
\frac{n!}{(n-2)!} === \frac{n!}{(n-2)!}
\binom{n}{2} === \binom{n}{2}
\frac{1}{3}\pi r^2 h === \frac{\pi r^2 h}{3}
mgh === m g h
v_0 t - \frac{1}{2} g t^2 === v_{0} t-g t^{2}/2
\frac{GMm}{r^2} === \frac{G m M}{r^{2}}
1.38 \times 10^{-23} === 1.38e-23
3.00 \times 10^8 \text{ m/s} === 3 \times 10^8
√23 === \sqrt{23}
∛12 === \sqrt[3]{12}
∛(x+1) === \sqrt[3]{x+1}
x \neq 2 === x \ne 2
x != 2 === x \neq 2
x <= 2 === x \le 2
x >= 2 === x \geq 2
x \lt 2 === x < 2
x \gt 2 === x > 2
1, 2, \dots, n === 1, 2, \ldots, n
\lbrace 1,2 \rbrace === \{1,2\}
\text{sin} x === \sin x
sqrt(2) === \sqrt{2}
2*pi === 2\pi
sin(x) === \sin x
(-oo, 3] === (-\infty, 3]
(-infinity,3) === (-\infty,3)
x**2 === x^2
**5x** === 5x
`5x` === 5x
__5x__ === 5x
$$\text{East}$$ === east
\(1,2\) === 1,2
\[1,2\] === 1,2
{ (1,2) } === (1,2)
\frac{1}{2} degrees === 0.5
1{,}000x === 1000x
(1{,}000, 2) === (1000, 2)
(12,\!345, 1) === (12345, 1)
[1,2] U (3,4) === [1,2] \cup (3,4)
[1,2]∪{5} === [1,2] \cup \{5\}
\frac{2 \pm \sqrt{8}}{2} === 1 \pm \sqrt2
\{1,1,2\} === \{1,2\}
4 m === 2m+2m
10^\circ+30^\circ === 40^\circ
180^\circ-2\alpha === 180-2\alpha
90^\circ-\frac{A}{2} === 90-\frac{A}{2}
x+30^\circ === 30^\circ+x
\left(\frac{45}{2}\right)^\circ === 22.5^\circ
4+2\sqrt3 \text{ cm} === 4+2\sqrt3
10\%+20\% === 30\%
4 \cdot 50\% === 2
33\frac13\% === \frac13
30^{o} === 30^\circ
45^\circ 30^{\prime} === 45^\circ 30'
5'3" === 5' 3''
30\$ === 30
5 === 5\,\mathrm{V}
60 mph === 60 \text{ miles per hour}
3 \text{ m/s} === 3 \text{ meters per second}
3:30 pm === 3:30\text{ P.M.}
(101)_2 === 101_2
101_{(2)} === 101_2
101 \text{ (base 2)} === 101_2
3 \pmod{5} === 3 \pmod 5
x \equiv 3 \pmod 5 === x \equiv 3 \mod 5
3 \text{ (mod 7)} === 3 \bmod 7
[1, 2[ === [1,2)
(1;2) === (1,2)
(-\infty,\infty) === \mathbb{R}
all real numbers === (-\infty,\infty)
\mathbb{R}\backslash\{0\} === \mathbb{R}\setminus\{0\}
\begin{pmatrix}1\\2\\3\end{pmatrix} === \langle 1,2,3\rangle
|3+4i| === 5
\lg 100 === 2
\sin(\pi) === 0
1+\cos\frac{\pi}{2} === 1
\frac{5!}{2!3!} === \binom52
C_{5}^{2} === 10
C^2_5 === 10
10 === \mathrm{C}_5^2
5C2 === 10
{}^5P_2 === 20
A_5^2 === 20
2P(5,2) === 40
1 000 000 === 1000000
12'500 === 12500
II === \text{II}
May 2, 2024 === \text{May 2, 2024}
2024/1/2 === 2024-01-02
𝟒𝟐 === 42
‎12‎ === 12
\color{red}5 === 5
\textcolor{blue}{5} === 5
{\color{blue}5} === 5
\underline{5} === 5
\Large 5 === 5
5\tag{1} === 5
5 millions === 5000000
5 \text{ m s}^{-2} === 5 m/s^2
5 \text{ s}^{-1} === 5 Hz
5\text{ cm}^{-1} === 5
5\,\mathrm{mA} === 5
x=1 000 === 1000
12 000 \text{ km} === 12000
\text{all real numbers} === \mathbb R
C_5^2A_3^3 === 60
\frac{C_5^2}{C_{10}^2} === \frac29
(A) x+B === A
(E) (1,2) === E
\binom{100000}{2} === 4999950000
forty-two === 42
Forty Two === 42
\text{forty-two} === 42
forty-two apples === 42
42 apples === forty-two apples
two thirds === \frac23
\frac{2}{3} === \text{two thirds}
two-thirds === 2/3
one half === 0.5
a half === \frac{1}{2}
half === 0.5
three quarters === 0.75
three and a half === 3.5
two and two thirds === \frac{8}{3}
one hundred and five === 105
one thousand two hundred thirty-four === 1,234
twelve hundred === 1200
five million === 5000000
five million dollars === $5,000,000
minus five === -5
negative two thirds === -\frac23
three point one four === 3.14
fifty percent === 50\%
fifty percent === \frac12
ninety degrees === 90^\circ
two and three === 2, 3
two, three and five === 2,3,5
two or three === \{2,3\}
x = forty-two === 42
(two, three) === (2,3)
two out of three === 2 out of 3
zero === 0
Three === \text{three}
two dozen === 24
two dozen eggs === 24
5‰ === 0.005
5‰ === 0.5\%
5‰ === 5
5 \text{ per mille} === \frac{1}{200}
5 per mil === 5‰
10\% === 100‰
1 + 5‰ === 1.005
45°30' === 45.5^\circ
45^\circ 30' === 45.5
45^\circ30^{\prime} === 45.5°
45° 30′ 36″ === 45.51^\circ
45°30'' === 45^\circ 0' 30''
-12°15' === -12.25°
22.5^\circ === 22^\circ 30'
45° 30 minutes === 45.5°
5 red apples === 5 apples
5 Apples === 5 apple
5 boxes === 5 box
5 candies === 5 candy
5 people === 5 persons
5 children === 5 child
5 hours === 5 hrs
5 units === 5 cm
5 square units === 5 cm^2
5 boxes of apples === 5 boxes
5 years old === 5 years
5 xy === 5 yx
12 noon === 12
x = 2+3 = 5 === 5
x = \frac{10}{2} = 5 === x = 5
A = \pi r^2 = 9\pi === 9\pi
x = \sqrt{2} \approx 1.414 === \sqrt{2}
\sqrt{2} \approx 1.41 === \sqrt2
\frac13 \approx 0.33 === \frac13
\pi \approx 3.14 === \pi
\pi \approx 3 === \pi
0=5 === 5=0
7{\frac{3}{5}} === \frac{38}{5}
60\text{\%} === 60\%
19.75\mathrm{\%} === 19.75
£5 === 5 pounds
5 lb === 5 pounds
+/- 3 === \pm 3
\langle 1,2,3 \rangle === <1, 2, 3>
<1, 2, 3> === (1,2,3)
26㎡ === 26 m^2
9㎝ === 9 cm
⌊2.5⌋ === 2
⌈2.5⌉ === 3
∜9 === \sqrt[4]{9}
2∶3 === 2:3
2\colon 3 === 2:3
0.898989... === \frac{89}{99}
742_{\text{base } 12} === 742_{12}
FF_{(16)} === FF_{16}
\frac{n!}{(n-1)!} === n
\frac{n!}{(n-2)!} === n(n-1)
\frac{(2n)!}{(2n-1)!} === 2n
3:05 pm === 15:05
12:00 am === 0:00
3 pm === 15:00
3 pm === 3:00 p.m.
January 5, 2024 === 2024-01-05
5 January === January 5th
\text{Jan 5, 2024} === 5 January 2024
6:8 === 3:4
3 to 4 === 3:4
3 \text{ to } 4 === 3:4
Option B === B
\text{Option }D === D
Choice (E) === \text{(E)}
\frac{1}{2}\begin{pmatrix}10 & -10\end{pmatrix} === \begin{pmatrix}5 & -5\end{pmatrix}
-\begin{pmatrix}1\\2\end{pmatrix} === \begin{pmatrix}-1\\-2\end{pmatrix}
\begin{cases} 6 & x \ge 3 \\ 3x & x < 3 \end{cases} === \begin{cases} 3x & x < 3 \\ 6 & x \ge 3 \end{cases}
f(x)=\begin{cases} 6 & x \ge 3 \\ 3x & x < 3 \end{cases} === \begin{cases} 3x, & \text{if } x < 3 \\ 6, & \text{if } 3 \le x \end{cases}
\begin{cases}x=1\\y=2\end{cases} === x=1, y=2
\begin{cases}x=1\\y=2\end{cases} === (1,2)
5 feet 3 inches === 5 feet and 3 inches
3 h 20 min === 3 \text{ hours } 20 \text{ minutes}
x > 9 \text{ and } x < 14 === 9 < x < 14
|x| < 4 === -4 < x < 4
|x| \ge 4 === x \le -4 or x \ge 4
(-4,4) === |x|<4
(x,y)=(2,3) === (2,3)
\left( {1, 2} \right) === (1,2)
\int_0^1 x^2 dx === 0.33333333
DNE === dne
5 buses === 5 bus
5 cookies === 5 cookie
5 glasses === 5 glass
5 houses === 5 house
"""

WRONG = r"""
\cos{34^\circ} === \cos{65^\circ}
1^{\infty} === 1
1^{\infty} + 1 === 2
\infty^0 === 1
\infty - \infty === 0
\frac{\infty}{\infty} === 1
\infty / \infty === 1
0 \cdot \infty === 0
\infty + 1 === \infty
2\infty === \infty
\frac1\infty === 0
\lfloor 1^\infty \rfloor === 1
0^0 === 1
2^{0^0} === 2
(x-x)^0 === 1
\frac{0}{0} === 1
y+x=\frac{1}{1-1} === y+x=2
\sin 30 === \sin 30^\circ
\sin 30^\circ === \sin 30
\sin(30^\circ) === \sin(30)
\cos 60 === \frac12
\tan 45 === 1
\tan 45 === \tan 45°
\sec 60 \text{ degrees} === \sec 60
2\sin 30^\circ + 1 === 2\sin 30 + 1
\sin 30^\circ === \sin 60^\circ
\sin x^\circ === \sin x
101_2 === 101
101_{2} === 101.0
12_3 === 12
5 === 101_2
101_2 === 5
1F_{16} === 1F_{20}
FF === 255
\log 100 === \ln 100
\log e === 1
\log_2 8 === \log 8
C(5,2) === 11
C(5,2) === 52
{5 \choose 2} === \frac52
C(5,2) === C(4,2)
e^{i\pi} === 1
e^{i\pi/2} === -i
e^{i\pi/5} === \frac12
e^{\pi} === -1
\text{5} === 6
x\text{5} === 5
1\text{5} === 15
5 out of 6 === 6 out of 5
1 \text{ to } 3 === 3 \text{ to } 1
3 by 4 === 4 by 3
2 \text{ less than } 7 === 7 \text{ less than } 2
from 2 to 9 === from 9 to 2
2031-04-05 === 2031-05-04
4-5-2031 === 5-4-2031
2+2=5 === 2+2=4
3x=6 === 6
x+2=5 === 5
\{1,2\} === (1,2)
(1,2) === \{1,2\}
[1,2] === (1,2)
[1,2] === 1,2
2\pi r === 2\pi R
\sin R === \sin r
r === R
5 km === 5 cm
5 \text{ cm}^2 === 5 \text{ cm}^3
125 === 5 \text{ cm}^3
5 million === 5
5 million === 5 thousand
5 million === 5 billion
3 am === 3 pm
1e-13 === 1e-14
0.0000001 === 0.0000002
\sqrt{10^{60}+1} === 10^{30}
\sqrt{10^{30}+1} === 10^{15}
\sin(10^{-9}) === 10^{-9}
\cos(10^{-9}) === 1
\frac{1}{10^{9}} === 0
e^{-50} === 0
\int_0^{10^{-5}} x dx === 0
10^{-20} === \int_0^1 0 dx
x>2 === x<2
x \ge 2 === x>2
1<x<2 === 1 \le x <2
1 < x < 2 === (1,2)
x<1 or x>2 === x<1 and x>2
f(x)=2x === g(x)=2x
f(2)=5 === f(2)=6
x=5 === y=5
(1 2, 3) === (12,3)
x^{1 2} === x^{12}
\sin x === \sin y
\ln x === \ln y
f(x) === f(y)
f(2x) === 2f(x)
P(A) === PA
P(A|B) === P(B|A)
\log x === \ln x
a_1 === a_2
x' === x
f'(x) === f(x)
\{1,2,2\} === \{1,2,3\}
1,1,2 === 1,2
\pm 2 === 2
2 === \pm 2
(1,2,3) === (3,2,1)
ABC === ACB
\angle ABC === \angle ACB
\overline{AB} === \overline{AC}
\text{5 or 6} === 5
1:2 === 2:1
1:2 === 1
10:30 === 10
\mathbb{R} === \mathbb{Z}
\sqrt{2} === 1.41
0.33 === \frac13
999999.9999 === 1000000
12 === 12\frac{1}{2}
2\frac{x}{3} === 2+\frac{x}{3}
\log_2 8 === \log_3 8
\binom{5}{2} === \binom{5}{1}
\frac{10}{2} \text{ and } 3 === 5
\{x|x>2\} === \{x|x<2\}
\{x|x>2\} === \{x|x\ge 2\}
\int x dx === \int y dx
\vec{a} === \vec{b}
\sin^{-1}x === \frac{1}{\sin x}
2^{-1074} === 0
10^{100}+1 === 10^{100}
\pi + 10^{-30} === \pi
x+10^{-20} === x
\sin x + 10^{-20} === \sin x
1.0000001x === x
0.999999999 === 1
5 === 5\%\%
x^2 === x^{-2}
-x^2 === (-x)^2
-2^2 === 4
2^{-2} === -4
\sqrt{4} === -2
\sqrt{2} === \sqrt[3]{2}
\sqrt{x^2} === x
\frac{0}{0} === 0
\frac{x}{x-x} === 1
\frac{1}{\sin^2x+\cos^2x-1} === 0
(x-1)/(x-1)^2 === 1
x/2y === \frac{xy}{2}
1/2x === \frac{x}{2}
a/bc === \frac{ac}{b}
2\frac{1}{2} === 1
2\frac12 === 1
-2\frac12 === -1.5
1 1/2 === 5.5
1 1/2 === \frac{11}{2}
12 === 1 2
1,2 === 12
1,234 === 1.234
1,23 === 123
1.234.567 === 1234567
(1,234) === 1234
1,234,567 === 1, 234, 567
0.1\overline{6} === 0.16
0.\overline{9} === 0.9
0.333... === 0.333
0.3(3) === 0.9
0.5(3) === 0.533
f(3) === 3f
g(x) === gx
h(2)=1 === h(2)=-1
y(0)=1 === 1=y(1)
P(A\cup B) === P(A)+P(B)
\ln(x+1) === \ln x + 1
\ln xy === y\ln x
\sin x y === y\sin x
\sin(x)^2 === \sin(x^2)
\sin x^2 === \sin^2 x
\sin^{-2} x === \arcsin^2 x
\log 8 === \ln 8
\log_2 x === \log_3 x
\exp(x) === x
e^x === ex
e^{x^2} === e^{2x}
(e^x)^2 === e^{x^2}
2^{3^2} === 64
x^{y^z} === (x^y)^z
x^yz === x^{yz}
x^12 === x^1 2
x^{12} === x^1 \cdot 2
x_1 === x1
x_1 x_2 === x_2 x_2
x_{12} === x_1x_2
a_n === an
a_{n+1} === a_n+1
|x| === x
|-x| === -x
|x|y === |xy|z
|x-y| === x-y
n! === n
(n+1)! === n+1!
3!! === 720
3!! === 6
\binom{n}{2} === \frac{n}{2}
\binom{5}{2} === \frac52
\lfloor 2.5 \rfloor === 2.5
\lfloor x \rfloor === x
\lceil x \rceil === \lfloor x \rfloor
\bar{x} === x
\overline{z} === z
\overline{AB} === \overline{CD}
\overrightarrow{AB} === \overrightarrow{BA}
\vec{AB} === \vec{BA}
\vec{a}\times\vec{b} === \vec{b}\times\vec{a}
\vec{a}\times\vec{b} === \vec{a}\cdot\vec{b}
A^T === A
A^{-1} === \frac1A x
\angle A === A
\triangle ABC === ABC
x\in\{1,2\} === x\in(1,2)
x \in [1,2] === x\in(1,2)
x \notin \{1\} === x \in \{1\}
x \subset y === y \subset x
A \cup B === AB
\neg p === p
p \land q === p \lor q
p \to q === q \to p
x \to 0 === x \to \infty
3 \pmod 5 === 3
\text{yes} === \text{no}
\text{not even} === even
true === false
even === odd
A === B
A,B === A
A and B === A or C
(A) 5 === B
(A) 5 === 6
A. 12 === C
C. 12 === 13
3 m === 3 s
3 \text{ m} === 3 \text{ m}^2
3 m^2 === 9
3 \text{ cubic meters} === 3 \text{ square meters}
3 \text{ hours} === 3 \text{ minutes}
3 hours === 180 hours
5\text{ per } 2 === 10
5^\circ === 5 \text{ radians}
5^\circ C === 5^\circ F
\$5 === 5 cents
\$5 === €5
5 dozen === 5
5 hundred === 5 thousand
5K === 5M
5k === 5
5\% === 5 \text{ million}
50\% === 5
0.5\% === 50
0.5\% === 0.5 x
\frac{1}{3}\% === 0.33
100\% === 0.01
x=1,y=2 === x=2,y=1
x=1,y=2 === (2,1)
x=1 === x=1,y=2
(x,y)=(1,2) === (y,x)=(1,2)
x=1 or x=2 === x=1 or x=3
x=1 \text{ or } 2 === 1
x=\pm1 === 1
x=2 === 2=y
x=y === x=-y
y=2x === y=x/2
y=mx+b === y=mx-b
y=mx+b === mx+b=0
x^2=4 === x=2
x^2=x === x=1
x^2+y^2=1 === x^2+y^2=2
x+y=1 === 1
x+y=1 === x+y
x+y === x+y=0
x=5 === x^2=25
2x=10 === 10
f(x)=3 === f(y)=3
f'(x)=3 === f(x)=3
f(x)=x === f(x)=y
x<2 === x>2
x<2 === x \le 2
x<2 === 2
x<2 === (2,\infty)
x<y === y<x
-x<2 === x<-2
1<x<2 === 1<y<2
1<x<2 === 2<x<1
x \ne 1 === x = 1
x \approx 1 === x = 1.0001
x>1 and x<3 === x>1 or x<3
x>1, x<3 === x>1 \text{ or } x<3
(1,3) === x>1 or x<3
(1,2] === [1,2)
[1,2] === \{1,2\}
(1,2) === (1,2,2)
(1,2)\cup(3,4) === (1,2)\cap(3,4)
(1,2)\cup(3,4) === (1,4)
(1,2),(3,4) === (1,2)\cup(3,4)
(1,2),(3,4) === (1,3),(2,4)
(1,2),(3,4) === (2,1),(4,3)
((1,2),3) === (1,(2,3))
((1,2),3) === (1,2,3)
\{1,\{2\}\} === \{1,2\}
\{\} === \{\emptyset\}
\{\emptyset\} === \emptyset
\emptyset === 0
\{0\} === \emptyset
\{1,1\} === \{1,2\}
1,2,3 === 1,2
1,2,2 === 1,1,2
1;2 === 12
1/2, 3 === 1, 2/3
\begin{pmatrix}1&2\\3&4\end{pmatrix} === \begin{pmatrix}1&3\\2&4\end{pmatrix}
\begin{pmatrix}1&2&3&4\end{pmatrix} === \begin{pmatrix}1&2\\3&4\end{pmatrix}
\begin{pmatrix}1\\2\end{pmatrix} === \begin{pmatrix}1&2\end{pmatrix}
\begin{vmatrix}1&2\\3&4\end{vmatrix} === \begin{pmatrix}1&2\\3&4\end{pmatrix}
\int x\,dx === \int x\,dy
\int_0^1 x dx === \int_1^0 x dx
\int_0^1 x dx === \int_0^2 x dx
\int x dx === \frac{x^2}{2}+C
\frac{x^2}{2} === \frac{x^2}{2}+C
\sum_{k=1}^n k === \sum_{k=0}^{n-1} k
\sum_{k=1}^3 k === \prod_{k=1}^4 k
\lim_{x\to0} x === \lim_{x\to 1} x
\frac{dy}{dx} === \frac{y}{x}
\frac{dy}{dx} === \frac{dx}{dy}
\frac{\partial f}{\partial x} === \frac{f}{x}
y' === y
y'' === y'
\dot{x} === x
i === 1
i^2 === 1
3+4i === 5
3+4i === 4+3i
2i === -2i
\sqrt{-4} === -2i
1e5 === 15
1e5 === 1e6
2e3 === 6e
10^{5} === 10^{-5}
1.0 \times 10^3 === 1.0 \times 10^{-3}
6.02 \times 10^{23} === 6.02 \times 10^{22}
1010_2 === 1010_3
12_8 === 12_{10}
52_8 === 42
A_{16} === A
0x10 === 0
10:30 === 10.5
3:45 === 3
1:2:3 === 1:3:2
2:3 === \frac{2}{5}
\infty === -\infty
\pm\infty === \infty
\infty === 10^{100}
1\pm2 === 3
\pm1,\pm2 === 1,2
a\pm b\pm c === a+b+c
x+10^{-50} === x
x(1+10^{-30}) === x
10^{50}+x === 10^{50}
\sqrt{10^{40}+1}-10^{20} === 0
\sqrt{2}+\sqrt{3} === \sqrt{5+2\sqrt{6}}+10^{-25}
\sqrt{2+10^{-60}} === \sqrt{2}
e^{10^{-40}} === 1
\sin(10^{-100}) === 0
\tan 10^{-30} === 10^{-30}
e^{\pi\sqrt{163}} === 262537412640768744
\pi === 22/7
\pi === \frac{355}{113}
e === 2.71828
e === 2.718281
0.1234567 === 0.1234568
1/3 === 0.3333333334
2/3 === 0.66666667000
0.1+0.2 === 0.30000001
99999999999999999999 === 100000000000000000000
123456789012345678901234567890.1 === 123456789012345678901234567890.2
\text{Answer: }5 === 6
5 or 6 === 5
not 5 === 5
5? === 6
> 5 === 5
\approx 5 === 5
about 5 === 6
at least 5 === 5
less than 5 === 5
5+ === 5
5- === 5
--5 === -5
5...6 === 5
\{5 === 5
5\} === 5
5^ === 5
\frac{5} === 5
\sqrt === 0
\boxed{} === 5
\text{} === 5
$ === 5
. === 5
None === 0
null === 0
undefined === 0
[] === 0
{} === 0
() === 0
abc === cab
xy === x+y
ab === a
aab === ab
x y z === x y
O(n) === O(n^2)
O(n) === On
H_2O === HO_2
CO === Co
x'=2 === x=2
\{x:x^2=1\} === \{x:x^2=2\}
\{x \in \mathbb{Z} | 0<x<2\} === (0,2)
k\pi, k\in\mathbb{Z} === 2k\pi, k\in\mathbb{Z}
3 apples and 4 oranges === 4 apples and 3 oranges
3 hours and 20 minutes === 3 hours and 30 minutes
5 feet 3 inches === 5 feet 4 inches
5'3" === 5'4"
Smith and Jones === Smith
Jan 5 === Jan 6
5th === 6th
5th === 5x
first === second
\theta === \phi
\alpha === a
\Delta === \delta
\epsilon === \varepsilon
\Omega === \omega
Rr === r^2
R+r === 2r
\frac{R}{r} === 1
\sin R \sin r === \sin^2 r
\int R r dr === \int r^2 dr
M m === m^2
GMm/r^2 === Gm^2/r^2
\ln R === \ln r
X === x
\begin{pmatrix} 0.3333333 \\ 1 \end{pmatrix} === \begin{pmatrix} 0.3333332 \\ 1 \end{pmatrix}
\begin{pmatrix} 2^{40}-1 & 1 \end{pmatrix} === \begin{pmatrix} 2^{40} & 1 \end{pmatrix}
2 3 x === 6x
6x === 2 3 x
2+abcd === 2+dcba
tree+1 === reet+1
3 apples + 2 === 2+3 pleasp
area=abcd === area=dcba
90 degrees === 90\text{ radians}
(0,0.3333333) \cup (1,2) === (0,0.3333332) \cup (1,2)
[1,2] U {5} === [1,2] \cup \{6\}
(1{,}000, 2) === (1, 2)
(1,000, 2) === (1000, 3)
10+30^\circ === 40
10 + 30° === 40
10+30^\circ === 40^\circ
\pi^\circ === \pi
\frac{\pi}{3}^\circ === \frac{\pi}{3}
2^\circ \cdot 3^\circ === 6
10+30\% === 40
100-50\% === 50
4 \cdot 50\% === 200
7 \% 4 === 4 \% 7
10+30 \text{ cm} === 40
10 + 30 cm === 40
10+30 million === 40000000
10+\$30 === 40
\$10+30 === 40
30' === 30
30' === 30''
30' === 30^\circ
30' + 1 === 31'
10+30' === 40
5" === 5
1'000 === 1000'
5 \text{ per mille} === 5\%
5\% === 5 \text{ cm}
5 \text{ or more} === 5
5 \text{ and counting} === 5
5 \text{ less than } x === 5
5 \text{ cm/m} === 5 \text{ m/cm}
5 \text{ km/kg} === 5 \text{ km}
5 \text{ L} \cdot 2 \text{ mL} === 10 \text{ L}
2 \times 10^{2}3 === 2 \times 10^{23}
(1;2) === (2;1)
(1,5;2) === (1;5,2)
[1,2[ === [1,2]
]1,2] === [1,2[
2024/01/02 === 2024/02/01
1/2/2024 === 2/1/2024
1.2.2024 === 2.1.2024
5 == 6 === 5
(B) A === A
C) B === B
(A)(B) === A
(A) or (B) === A
\begin{pmatrix}1\\2\end{pmatrix} === (2,1)
\begin{pmatrix}1\\2\end{pmatrix} === [1,2]
\begin{pmatrix}1&2\\3&4\end{pmatrix} === (1,2,3,4)
\mathbb{R} === (0,\infty)
\lg 8 === \ln 8
|3+4i| === 3+4i
\sin(\pi) === 10^{-70}
C_5^2 === 25
5C2 === 52
A_5^2 === 10
C_2^5 === 10
1 000 === 1
1 00 === 100
12 34 === 1234
1‏2 === 12
1‮2 === 21
\textcolor{white}{5}6 === 6
\color{white}5 === 5
\underline{5}6 === 5
6\tag{5} === 5
5 squared === 5
5 \text{ cubed} === 5
5 (factorial) === 5
3 thirds === 3
3 \text{ hundredths} === 3
5 \text{ crore} === 5
5 thousands === 5
5 below zero === 5
5 \text{ point five} === 5
5 is impossible === 5
5 \text{ s}^{-1} === 5 \text{ s}
5 \text{ kg m/s} === 5 \text{ kg}
5 kWh === 5 kW
5\,\mathrm{mA} === 5\,\mathrm{A}
5\text{ MPa} === 5\text{ kPa}
5 \text{ bits} === 5 \text{ bytes}
5\text{ nickels} === 5\text{ dimes}
\sum_{k=1}^{3} k' === 6
\lfloor \pi \rfloor' === 3
(\int_0^2 2x\,dx)\text{ squared} === 4
(1,2;3,4) === (2,1;3,4)
A: 5, B: 6 === A
(A) both A and B === A
\binom{100000}{2} === 4999950001
one hundred and five === 100, 5
forty-two === 24
fourty-two === 42
two thirds === \frac32
two hundred thousandths === \frac{200}{1000}
twenty one hundredths === \frac{21}{100}
third === \frac13
third === 3
one third === 3
no one === 1
one-to-one === 1
one === \text{no one}
two out of three === 2
2 out of three === 2
two and a half === 2
two and a half === 2, \frac12
one more === 1
one or two === 1
seven === 7!
five thousand === 5
2 dozen eggs === 2
5 hundred thousand === 5
5 Million === 5
5 million dollars === $5
5 billion people === 5 million people
5‰ === 5\%
5\% === 5‰
5‰ === 0.05
45°30' === 45°
45°30' === 45.3°
45°30' === 45°30''
45°75' === 46°15'
45°30' === 4530
-12°15' === -11.75°
30' === 0.5^\circ
5 square units === 5 cm^3
5 apples === 6 oranges
5 hours === 5 minutes
5 xy === 5
5 xy === 5 xz
3 abc === 3
12 noon === 12 midnight
x = 5 = 6 === 6
x = 5 = 6 === 5
x = 5 = 6 or x = 7 === 6, 7
2+2 = 5 === 5
2+2=5 === 4
2+3 = 5 === 5
5 = 5 === 5
\sqrt{2} \approx 1.414 === 1.414
\sqrt{2} \approx 1.5 === \sqrt{2}
\sqrt{2} \approx 1.42 === \sqrt{2}
x = \sqrt{2} \approx 1.414 === 1.41
x \approx 1 === 1
x = 5 \approx 6 === 5
\begin{cases}x=1\\y=2\end{cases} === \begin{cases}x=2\\y=1\end{cases}
7{\frac{3}{5}} === \frac{21}{5}
16B8_{7} === 16B8_{12}
9:01 === 9
9 === 9:01
£5 === 5 lb
£5 === \$5
0.898989... === 0.898989
(n+1)! === n!+1
(n+1)! === n \cdot n!
\frac{n!}{(n-1)!} === n-1
3:05 am === 3:05 pm
12:00 am === 12:00 pm
15:05 === 3:05
3:05 PM === 3:05
4:30 === 4:30 \text{ p.m.}
15:05 === 3:05 am
3:05 pm === 3:50 pm
January 5 === January 6
January 5, 2024 === January 5
January 5, 2024 === February 5, 2024
May 5 === 5
1:30 === 2:60
1:02 === 2:04
6:8 === 4:3
1:2:3 === 2:4:7
2 to 1 === 1:2
option (B) === C
2\begin{pmatrix}1\\2\end{pmatrix} === \begin{pmatrix}2\\2\end{pmatrix}
\begin{cases} 6 & x > 3 \\ 3x & x < 3 \end{cases} === \begin{cases} 3x & x < 3 \\ 6 & x \ge 3 \end{cases}
\begin{cases} 3x & x \ge 3 \\ 6 & x < 3 \end{cases} === \begin{cases} 3x & x < 3 \\ 6 & x \ge 3 \end{cases}
5 feet 3 inches === 3 feet 5 inches
3 hours 20 minutes === 3
x > 9 \text{ and } x < 14 === x > 9 or x < 14
x > 9 \text{ and } x > 14 === 9 < x < 14
|x| < 4 === x < 4
|x| < 4 === |x| > 4
|x| < 4 === -4 \le x \le 4
x=1 or x=2 === (1,2)
(1,2) === x=1, x=2
x=2,3 === (2,3)
2 or 3 === (2,3)
\left( {1, 2} \right) === \{1,2\}
\{x \mid 1<x<2\} === 1, 2
x=1, y=2 === \{x \mid 1<x<2\}
\begin{pmatrix}1\\2\end{pmatrix} === \{x|1<x<2\}
3 === \pi \approx 3
abc === ABC
pqr === PQR
\int_0^1 x^2 dx === 0.333333334
e^{10^{-40}} === 0.999999999
3 to 1 === 3
4 to 3 === 3:4
0.101001000... === 0.101001
"""

FAILED = r"""
2\frac{3}{2} === 3.5
2\frac{3}{2} === 3
2^3^2 === 64
2^3^2 === 512
IV === VI
5 === 5_2
1 === 1_000
1.01_2 === 1.01_3
XI === IX
IL === LI
C_5^2 === C_5^3
7 mod 4 === 4 mod 7
1 === 1^{\infty} + 0
1 === 0^0
0 === \infty - \infty
y+x=2 === y+x=\frac{1}{1-1}
\log 100 === 2
1 === \log 10
\log 100 === \log_{10} 100
C(5,2) === C(5,3)
\frac{104}{2} === 52_8
n!! === (n!)!
A \cup B === A \cap B
A \setminus B === B \setminus A
x \equiv 3 \pmod 5 === x \equiv 3 \pmod 7
3 \bmod 5 === 5 \bmod 3
0 === []
Na^+ === Na^-
\{(x,y):x=y\} === \{(x,y):x=-y\}
\{x\in\mathbb{Z}|x>0\} === \{x|x>0\}
5 zorks === 5 blips
5 apples === 5 oranges
5 boxes of apples === 5 apples
5 red apples === 5 green apples
5 boys === 5 girls
5 apples === 5 hours
42 people === 42 students
5 === x = 5 = 6
3 steps left === 3 steps right
5 cm in radius === 5 cm in diameter
5 cans === 5 canes
5 plans === 5 planes
"""

GOLDS = r"""
5
-17
3.50
1,080
\frac{3}{4}
-\frac{7}{12}
2\sqrt{5}
\frac{1+\sqrt{5}}{2}
4-\mathrm{i}
-3+4 \mathrm{i}
2 e^{i \pi / 3}
\sqrt[3]{2}
\pi
\frac{\pi}{6}
x^2+3 x-4
(x+2)(x-5)
y=2 x-3
y = C_1 e^{2x} + C_2 e^{-x}
y(t) = C_1 e^{t} + C_2 t e^{t}
\frac{d y}{d x}=\frac{x}{y}
x=\frac{1}{2}
x = -1, x = 4
x=3 \text{ or } x=-2
x_1 = 1, x_2 = -1
(-\infty, 2) \cup (3, \infty)
[0,+\infty)
(-1,1]
\left(\frac{1}{2}, \frac{3}{4}\right)
(1, -2, 3)
\{1,2,3\}
\{x|-2\leq x<1\}
\{x \mid x \neq 0\}
\left\{x \in \mathbb{R} \mid x>0\right\}
\{(x, y) \mid x+y=1\}
\varnothing
\emptyset
\mathbb{R}
\mathbf{R}
\mathbb{R} \setminus\{0\}
\complement_U A
A \cap B
A \subseteq B
E_{1}
E_n = -\frac{13.6}{n^2}
a_{n}=2 n-1
a_n = 2^{n-1}
S_{n}=n^{2}+n
C_{5}^{2} A_{3}^{3}
\mathrm{A}
\text{B}
(C)
ABD
①③
②
\text{充分不必要条件}
必要不充分条件
6.63 \times 10^{-34}
1.5e-7
4.5e33
3.2 \times 10^{8} \text{ m/s}
9.8 \mathrm{~m} / \mathrm{s}^{2}
45 \text{ km/h}
12 \mathrm{~cm}
18 \pi \mathrm{~cm}^{3}
30^{\circ}
60°
\frac{\pi}{3} \text{ radians}
25\%
\$ 4.50
\$1,250.00
5 \text{ million}
7:30 \text{ p.m.}
10:45
3:2
1:\sqrt{3}:2
\text{Monday}
\text{no solution}
\text{Yes}
True
diverges
\text{The series converges}
undefined
DNE
\infty
-\infty
x \geq 3
x<-1 \text{ or } x>4
-2 \leq x \leq 5
0<a<1
x \neq 2
k=\pm 2
\pm \sqrt{3}
1 \pm 2 i
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}
\begin{bmatrix} 1 \\ 0 \\ -1 \end{bmatrix}
\begin{cases} x = 1 \\ y = 2 \end{cases}
\left|\begin{array}{cc} a & b \\ c & d \end{array}\right|
\vec{a} \cdot \vec{b}
\overrightarrow{A B}
3 \mathbf{i}-2 \mathbf{j}+\mathbf{k}
\hat{\mathbf{x}}
\langle 1, 2, 3\rangle
\|x\|
|x-1|+|x+1|
\lfloor x \rfloor
\sin x+\cos x
\sin ^{2} \theta
\tan^{-1} \frac{3}{4}
\arctan(2)
\ln |x|+C
\frac{1}{2} \ln(x^2+1)+C
\int_{0}^{1} x^{2} d x
\sum_{n=0}^{\infty} \frac{x^{n}}{n !}
\sum_{k=1}^{n} k^2
\lim _{x \rightarrow 0} \frac{\sin x}{x}
\prod_{i=1}^{n} a_i
\binom{n}{k}
n!
(n-1)!
\frac{n(n+1)}{2}
f(x)=x^{2}+1
f'(x)=2x
f^{-1}(x) = \frac{x-1}{2}
g \circ f
P(A \mid B)
P(X=2)=\frac{3}{8}
\frac{\partial f}{\partial x}=2 x y
x \equiv 3 \pmod{7}
101_2
2^{10}
2^{n+1}-1
10^{10^{10}}
\log _{2} 3
\log_{10}(x)
\Omega(n \log n)
O(n^2)
\Theta(\sqrt{n})
\alpha+\beta
\lambda_1 = 2, \lambda_2 = 3
\frac{k q_{1} q_{2}}{r^{2}}
m v^{2} / 2
\hbar \omega
\frac{1}{4 \pi \epsilon_0}
\sqrt{\frac{2 G M}{R}}
I(0)
I_{0} e^{-t / \tau}
\frac{Q s}{s^{2}+1}
\nabla \cdot \mathbf{E}=\frac{\rho}{\epsilon_{0}}
\triangle ABC
\angle ABC = 60^{\circ}
AB \parallel CD
l \perp \alpha
p \rightarrow q
p \land \neg q
H_2O
NaCl
2 H_{2}+O_{2} \rightarrow 2 H_{2} O
x y^{\prime}-y=0
y^{\prime \prime}+4 y=0
\dot{x} = -k x
\frac{dy}{dt} = k(y - 20)
\text{Area} = 12
3 \text{ apples and } 4 \text{ oranges}
9 (apples)
3 hours and 20 minutes
2 1/2
1 000 000
0.\overline{3}
0.1\dot{6}
3.14\ldots
1, 2, 3, \ldots
1,3,5,7
n \in \mathbb{Z}
k\pi + \frac{\pi}{4}, k \in \mathbb{Z}
[k\pi-\frac{\pi}{3}, k\pi+\frac{\pi}{6}](k \in \mathbf{Z})
x=2k\pi, k \in Z
2:1 \text{ ratio}
4x^2+8x+19=0
x^{2}+y^{2}=1
\frac{x^{2}}{4}+\frac{y^{2}}{3}=1
(x-1)^2+(y+2)^2=9
2x-y+3=0
x+y-2=0
xy'=y
\ddot{x}+\omega^2 x=0
"""


def pairs(table: str) -> list[tuple[str, str]]:
    """(answer, gold) of each line."""
    return [tuple(line.split(" === ")) for line in table.strip().splitlines()]
